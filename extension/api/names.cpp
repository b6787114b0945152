#include "api/arguments.hpp"

#include "pgaf/core/names.hpp"

/// The rules for names, for the constraints of tables and for functions in SQL.
namespace pgaf::api {

PGAF_SQL_FUNCTION(pgautofailover_is_host_name) {
    return BoolGetDatum(core::IsHostName(TextArg(fcinfo, 0)));
}

PGAF_SQL_FUNCTION(pgautofailover_is_name) { return BoolGetDatum(core::IsName(TextArg(fcinfo, 0))); }

PGAF_SQL_FUNCTION(pgautofailover_quote_uri) {
    return pg::ToText(core::QuoteUriPath(TextArg(fcinfo, 0)));
}

}  // namespace pgaf::api
