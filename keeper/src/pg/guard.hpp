#pragma once

#include "pg/headers.hpp"

#include <array>
#include <exception>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>

/// The only code that knows that a PostgreSQL ERROR is a long jump and that a C++ exception must
/// not reach a C frame.
namespace pgaf::pg {

/// A PostgreSQL ERROR as a C++ exception: a copy that owns its texts. Also the way to raise one
/// from C++.
class PgError final : public std::exception {
 public:
    explicit PgError(const ErrorData *source);
    PgError(int sqlstate, std::string message, std::string detail = {}, std::string hint = {});

    const char *what() const noexcept override { return message().c_str(); }
    int sqlstate() const noexcept { return flat_.sqlerrcode; }
    const std::string &message() const noexcept { return texts_[0].text; }

    /// A palloc'd copy for ReThrowError, in CurrentMemoryContext; NULL when out of memory.
    ErrorData *ToErrorData() const noexcept;

 private:
    struct Text {
        char *ErrorData::*member = nullptr;
        bool present = false;
        std::string text;
    };
    ErrorData
        flat_{};  // numbers and pointers to static strings; pointers to texts are set on rebuild
    std::array<Text, 10> texts_;
};

/// Restores the jump and context stacks on every exit.
class JumpStackScope {
 public:
    JumpStackScope() noexcept : jump_(PG_exception_stack), context_(error_context_stack) {}
    ~JumpStackScope() {
        PG_exception_stack = jump_;
        error_context_stack = context_;
    }
    JumpStackScope(const JumpStackScope &) = delete;
    JumpStackScope &operator=(const JumpStackScope &) = delete;

 private:
    sigjmp_buf *jump_;
    ErrorContextCallback *context_;
};

/// Takes the pending ERROR off PostgreSQL's stack, back in `entry_context`, and throws it as a
/// PgError.
[[noreturn]] void ThrowPendingError(MemoryContext entry_context);

/// C++ -> PostgreSQL: an ERROR raised by fn arrives here as a PgError.
template <typename Fn>
auto CallPg(Fn fn) -> decltype(fn()) {
    using R = decltype(fn());
    static_assert(std::is_trivially_destructible_v<Fn>,
                  "longjmp runs no destructors: capture plain values or references");
    static_assert(std::is_void_v<R> || std::is_trivially_destructible_v<R>,
                  "longjmp runs no destructors: return a plain value");
    MemoryContext const entry_context = CurrentMemoryContext;
    {
        JumpStackScope scope;
        sigjmp_buf jump;
        if (sigsetjmp(jump, 0) == 0) {  // 0: do not save the signal mask, as PG_TRY
            PG_exception_stack = &jump;
            return fn();
        }
    }
    ThrowPendingError(entry_context);
}

/// Leaves C++ with the ERROR that was caught. `original` may be NULL. Never returns.
[[noreturn]] void RaiseAtDoor(const char *name, sigjmp_buf *stack_at_entry, ErrorData *original,
                              int code, const char *text);

/// PostgreSQL -> C++: nothing but a plain value or an ERROR leaves.
template <typename Fn>
auto EnterCpp(const char *name, Fn fn) -> decltype(fn()) {
    sigjmp_buf *const stack_at_entry = PG_exception_stack;
    ErrorData *original = nullptr;
    char text[512];
    int code = ERRCODE_INTERNAL_ERROR;
    try {
        return fn();
    } catch (const PgError &e) {
        original = e.ToErrorData();
        strlcpy(text, "out of memory while reporting an error", sizeof text);
    } catch (const std::bad_alloc &) {
        strlcpy(text, "out of memory", sizeof text);
        code = ERRCODE_OUT_OF_MEMORY;
    } catch (const std::exception &e) {
        strlcpy(text, e.what(), sizeof text);
    } catch (...) {
        strlcpy(text, "unknown C++ exception", sizeof text);
    }
    // The handlers are closed: no exception object is alive, so jumping away leaks nothing.
    RaiseAtDoor(name, stack_at_entry, original, code, text);
}

/// The only legal way to survive an ERROR and go on in the same transaction.
template <typename Fn>
std::optional<PgError> TryInSubtransaction(Fn fn) {
    MemoryContext const context = CurrentMemoryContext;
    ResourceOwner const owner = CurrentResourceOwner;
    CallPg([] { BeginInternalSubTransaction(nullptr); });
    MemoryContextSwitchTo(context);
    std::optional<PgError> failure;
    std::exception_ptr other;
    try {
        fn();
        CallPg([] { ReleaseCurrentSubTransaction(); });
    } catch (const PgError &e) {
        failure = e;
    } catch (...) {
        other = std::current_exception();
    }
    if (failure.has_value() || other != nullptr) {
        CallPg([] { RollbackAndReleaseCurrentSubTransaction(); });
    }
    MemoryContextSwitchTo(context);
    CurrentResourceOwner = owner;
    if (other != nullptr) std::rethrow_exception(other);
    return failure;
}

/// Aborts what a failed iteration left and logs it once.
void RecoverIteration(const char *what, int code, const char *text);

/// One iteration of a worker. Whatever goes wrong is logged once, and the worker lives on.
template <typename Fn>
bool RunIteration(const char *what, Fn fn) {
    char text[512];
    int code = ERRCODE_INTERNAL_ERROR;
    try {
        fn();
        return true;
    } catch (const PgError &e) {
        strlcpy(text, e.what(), sizeof text);
        code = e.sqlstate();
    } catch (const std::exception &e) {
        strlcpy(text, e.what(), sizeof text);
    } catch (...) {
        strlcpy(text, "unknown C++ exception", sizeof text);
    }
    RecoverIteration(what, code, text);
    return false;
}

}  // namespace pgaf::pg

/// A SQL-callable function with a C++ body: C linkage, exported, guarded.
#define PGAF_SQL_FUNCTION(name)                                                     \
    extern "C" {                                                                    \
    PGDLLEXPORT Datum name(PG_FUNCTION_ARGS);                                       \
    PG_FUNCTION_INFO_V1(name);                                                      \
    }                                                                               \
    static Datum name##_body(FunctionCallInfo fcinfo);                              \
    Datum name(PG_FUNCTION_ARGS) {                                                  \
        return pgaf::pg::EnterCpp(#name, [fcinfo] { return name##_body(fcinfo); }); \
    }                                                                               \
    static Datum name##_body([[maybe_unused]] FunctionCallInfo fcinfo)
