#pragma once

#include "pg/guard.hpp"
#include "pg/spi.hpp"

#include <optional>
#include <string>
#include <vector>

#include "pgaf/core/node_state.hpp"

/// Arguments and results of SQL functions as plain values.
namespace pgaf::api {

std::string TextArg(FunctionCallInfo fcinfo, int index);
std::string NameArg(FunctionCallInfo fcinfo, int index);
std::optional<std::string> OptionalTextArg(FunctionCallInfo fcinfo, int index);
core::NodeState StateArg(FunctionCallInfo fcinfo, int index);

/// The oid of the enum label, as a Datum. Needs nothing but a transaction.
Datum StateDatum(FunctionCallInfo fcinfo, int result_column, core::NodeState state);

/// A composite result. `nulls` may be empty: none.
Datum Row(FunctionCallInfo fcinfo, const std::vector<Datum> &values,
          const std::vector<bool> &nulls = {});

/// Starts a materialised set; returns nothing, puts rows with PutRow.
void StartSet(FunctionCallInfo fcinfo);
void PutRow(FunctionCallInfo fcinfo, const std::vector<Datum> &values,
            const std::vector<bool> &nulls = {});

/// A numeric address of the host for the probes, "" when it has none. May wait for the resolver:
/// never call it with a lock.
std::string ResolveHost(const std::string &host);

}  // namespace pgaf::api
