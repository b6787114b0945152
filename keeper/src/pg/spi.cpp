#include "pg/spi.hpp"

#include <array>
#include <cstring>
#include <stdexcept>

namespace pgaf::pg {
namespace {

constexpr int kParamsMax = 24;

struct CallParams {
    int count = 0;
    std::array<Oid, kParamsMax> types{};
    std::array<Datum, kParamsMax> values{};
    std::array<char, kParamsMax> nulls{};
};

CallParams Flatten(std::initializer_list<Param> params) {
    if (params.size() > kParamsMax) throw std::length_error("too many parameters");
    CallParams call;
    for (const Param &param : params) {
        const auto i = static_cast<std::size_t>(call.count++);
        call.types.at(i) = param.type;
        call.values.at(i) = param.value;
        call.nulls.at(i) = param.null ? 'n' : ' ';
    }
    return call;
}

void PrepareUnsafe(Statement &statement, CallParams &call) {
    SPIPlanPtr const plan = SPI_prepare(statement.text, call.count, call.types.data());
    if (plan == nullptr) {
        elog(ERROR, "could not prepare a statement: %s", SPI_result_code_string(SPI_result));
    }
    if (SPI_keepplan(plan) != 0) elog(ERROR, "could not keep a plan");
    statement.plan = plan;
}

void ExecuteUnsafe(Statement &statement, CallParams &call) {
    if (statement.plan == nullptr) PrepareUnsafe(statement, call);
    // Not read-only: every statement sees what was committed before it.
    int const result =
        SPI_execute_plan(statement.plan, call.values.data(), call.nulls.data(), false, 0);
    if (result < 0) elog(ERROR, "could not run a statement: %s", SPI_result_code_string(result));
}

}  // namespace

Spi::Spi() {
    CallPg([] {
        int const result = SPI_connect();
        if (result != SPI_OK_CONNECT)
            elog(ERROR, "SPI_connect: %s", SPI_result_code_string(result));
    });
}

Spi::~Spi() {
    // With an error on its way the transaction aborts, and SPI cleans up after itself; finishing
    // here as well keeps the stack right when the error is caught by a subtransaction.
    (void)SPI_finish();
}

Param Param::Int4(std::int32_t value) { return {INT4OID, Int32GetDatum(value), false}; }
Param Param::Int8(std::int64_t value) { return {INT8OID, Int64GetDatum(value), false}; }
Param Param::Bool(bool value) { return {BOOLOID, BoolGetDatum(value), false}; }
Param Param::Text(const std::string &value) { return {TEXTOID, ToText(value), false}; }
Param Param::PgLsn(core::Lsn value) { return {PG_LSNOID, LSNGetDatum(value.value), false}; }
Param Param::Timestamp(TimestampTz value) {
    return {TIMESTAMPTZOID, TimestampTzGetDatum(value), false};
}
Param Param::Null(Oid type) { return {type, 0, true}; }

Datum Rows::Value(std::uint64_t row, int column, bool *null) const {
    if (row >= size()) throw std::out_of_range("no such row");
    const SPITupleTable *const table = table_;
    return CallPg([=] { return SPI_getbinval(table->vals[row], table->tupdesc, column, null); });
}

bool Rows::IsNull(std::uint64_t row, int column) const {
    bool null = false;
    (void)Value(row, column, &null);
    return null;
}

std::int32_t Rows::Int4(std::uint64_t row, int column) const {
    bool null = false;
    Datum const value = Value(row, column, &null);
    return null ? 0 : DatumGetInt32(value);
}

std::int64_t Rows::Int8(std::uint64_t row, int column) const {
    bool null = false;
    Datum const value = Value(row, column, &null);
    return null ? 0 : DatumGetInt64(value);
}

bool Rows::Bool(std::uint64_t row, int column) const {
    bool null = false;
    Datum const value = Value(row, column, &null);
    return !null && DatumGetBool(value);
}

core::Lsn Rows::PgLsn(std::uint64_t row, int column) const {
    bool null = false;
    Datum const value = Value(row, column, &null);
    return null ? core::Lsn{} : core::Lsn{DatumGetLSN(value)};
}

std::string Rows::Text(std::uint64_t row, int column) const {
    if (row >= size()) throw std::out_of_range("no such row");
    const SPITupleTable *const table = table_;
    const char *const text =
        CallPg([=] { return SPI_getvalue(table->vals[row], table->tupdesc, column); });
    return text == nullptr ? std::string() : std::string(text);
}

Rows Execute(Statement &statement, std::initializer_list<Param> params) {
    CallParams call = Flatten(params);
    Statement *const stored = &statement;
    CallParams *const values = &call;
    CallPg([=] { ExecuteUnsafe(*stored, *values); });
    return Rows(SPI_tuptable, SPI_processed);
}

WorkerTransaction::WorkerTransaction() {
    CallPg([] {
        SetCurrentStatementStartTimestamp();
        StartTransactionCommand();
        PushActiveSnapshot(GetTransactionSnapshot());
    });
}

void WorkerTransaction::Commit() {
    CallPg([] {
        PopActiveSnapshot();
        CommitTransactionCommand();
        pgstat_report_stat(false);
    });
}

std::string FromText(Datum value) {
    const char *const copy = CallPg([=] { return TextDatumGetCString(value); });
    return std::string(copy);
}

Datum ToText(const std::string &text) {
    const char *const data = text.data();
    int const length = static_cast<int>(text.size());
    return CallPg([=] { return PointerGetDatum(cstring_to_text_with_len(data, length)); });
}

}  // namespace pgaf::pg
