-- Version 3.2, as changes to 3.1.
\echo Use "ALTER EXTENSION pgautofailover UPDATE TO '3.2'" to load this file. \quit
