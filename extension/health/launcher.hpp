#pragma once

/// Background processes of the monitor: a launcher, and a worker for each database with the
/// extension.
namespace pgaf::health {

/// Postgres regime; from _PG_init only. Registers the launcher and the hook that ends the worker of
/// a database that is dropped.
void InstallUnsafe();

/// Looks at a database's groups until shutdown. Called by the worker's entry point.
void RunWorker();

}  // namespace pgaf::health
