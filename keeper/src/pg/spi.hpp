#pragma once

#include "pg/guard.hpp"

#include <cstdint>
#include <initializer_list>
#include <string>

#include "pgaf/core/types.hpp"

/// SQL through SPI, as plain values. Everything here throws PgError.
namespace pgaf::pg {

/// A connection to SPI. Results read through it die with it; copy what must live longer.
class Spi {
 public:
    Spi();
    ~Spi();
    Spi(const Spi &) = delete;
    Spi &operator=(const Spi &) = delete;
};

/// A parameter. Texts are copied into the current memory context.
struct Param {
    Oid type = InvalidOid;
    Datum value = 0;
    bool null = false;

    static Param Int4(std::int32_t value);
    static Param Int8(std::int64_t value);
    static Param Bool(bool value);
    static Param Text(const std::string &value);
    static Param PgLsn(core::Lsn value);
    static Param Timestamp(TimestampTz value);
    static Param Null(Oid type);
};

/// A prepared statement, planned at its first use in this process and kept. Constant-initialised:
/// objects of this type live at namespace scope. The text must name every object with its schema.
struct Statement {
    const char *text;
    SPIPlanPtr plan = nullptr;
};

/// The rows of one statement.
class Rows {
 public:
    explicit Rows(SPITupleTable *table, std::uint64_t processed)
        : table_(table), processed_(processed) {}

    std::uint64_t size() const { return table_ == nullptr ? 0 : processed_; }
    /// Rows returned or changed.
    std::uint64_t processed() const { return processed_; }
    bool empty() const { return size() == 0; }

    /// Columns count from 1. A NULL reads as 0, false or "".
    bool IsNull(std::uint64_t row, int column) const;
    std::int32_t Int4(std::uint64_t row, int column) const;
    std::int64_t Int8(std::uint64_t row, int column) const;
    bool Bool(std::uint64_t row, int column) const;
    core::Lsn PgLsn(std::uint64_t row, int column) const;
    /// The output form of a value of any type.
    std::string Text(std::uint64_t row, int column) const;

 private:
    Datum Value(std::uint64_t row, int column, bool *null) const;
    SPITupleTable *table_;
    std::uint64_t processed_;
};

/// Runs a statement with a snapshot of now. Needs a Spi.
Rows Execute(Statement &statement, std::initializer_list<Param> params = {});

/// A transaction of a worker with SPI and a snapshot. Without Commit the destructor leaves it to
/// RunIteration to abort.
class WorkerTransaction {
 public:
    WorkerTransaction();
    void Commit();
};

std::string FromText(Datum value);
Datum ToText(const std::string &text);

}  // namespace pgaf::pg
