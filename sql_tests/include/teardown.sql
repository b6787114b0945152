\c regression
SET client_min_messages = warning;
DROP DATABASE :db;
