#include "pg/guard.hpp"

#include <cstring>
#include <utility>

namespace pgaf::pg {
namespace {

constexpr std::array kTextMembers{
    &ErrorData::message,       &ErrorData::detail,      &ErrorData::detail_log,
    &ErrorData::hint,          &ErrorData::context,     &ErrorData::schema_name,
    &ErrorData::table_name,    &ErrorData::column_name, &ErrorData::constraint_name,
    &ErrorData::internalquery,
};

/// NULL when out of memory: the caller must not jump.
char *CopyText(const std::string &text) noexcept {
    auto *copy = static_cast<char *>(palloc_extended(text.size() + 1, MCXT_ALLOC_NO_OOM));
    if (copy != nullptr) memcpy(copy, text.c_str(), text.size() + 1);
    return copy;
}

/// Copying allocates and may itself fail; NULL then.
ErrorData *CopyPendingError() {
    ErrorData *volatile copied = nullptr;  // changed between sigsetjmp and a possible jump
    JumpStackScope scope;
    sigjmp_buf jump;
    if (sigsetjmp(jump, 0) == 0) {
        PG_exception_stack = &jump;
        copied = CopyErrorData();
    }
    return copied;
}

}  // namespace

PgError::PgError(const ErrorData *source) : flat_(*source) {
    for (std::size_t i = 0; i < kTextMembers.size(); ++i) {
        texts_[i].member = kTextMembers[i];
        const char *const text = source->*kTextMembers[i];
        texts_[i].present = text != nullptr;
        if (text != nullptr) texts_[i].text = text;
        flat_.*kTextMembers[i] = nullptr;
    }
    flat_.backtrace = nullptr;
    flat_.datatype_name = nullptr;
    flat_.message_id = nullptr;
    flat_.assoc_context = nullptr;
}

PgError::PgError(int sqlstate, std::string message, std::string detail, std::string hint) {
    flat_.elevel = ERROR;
    flat_.sqlerrcode = sqlstate;
    flat_.output_to_server = true;
    flat_.output_to_client = true;
    for (std::size_t i = 0; i < kTextMembers.size(); ++i)
        texts_[i].member = kTextMembers[i];
    texts_[0].present = true;
    texts_[0].text = std::move(message);
    texts_[1].present = !detail.empty();
    texts_[1].text = std::move(detail);
    texts_[3].present = !hint.empty();
    texts_[3].text = std::move(hint);
}

ErrorData *PgError::ToErrorData() const noexcept {
    auto *data = static_cast<ErrorData *>(palloc_extended(sizeof(ErrorData), MCXT_ALLOC_NO_OOM));
    if (data == nullptr) return nullptr;
    *data = flat_;
    data->assoc_context = CurrentMemoryContext;
    for (const Text &text : texts_) {
        if (!text.present) continue;
        char *const copy = CopyText(text.text);
        if (copy == nullptr) return nullptr;
        data->*text.member = copy;
    }
    return data;
}

void ThrowPendingError(MemoryContext entry_context) {
    MemoryContextSwitchTo(entry_context);
    ErrorData *const copied = CopyPendingError();
    FlushErrorState();
    if (copied == nullptr) throw std::bad_alloc();
    PgError error(copied);
    FreeErrorData(copied);
    throw error;
}

void RaiseAtDoor(const char *name, sigjmp_buf *stack_at_entry, ErrorData *original, int code,
                 const char *text) {
    if (PG_exception_stack != stack_at_entry) {
        PG_exception_stack = stack_at_entry;
        elog(WARNING, "a C++ exception crossed a PG_TRY block in %s", name);
    }
    if (original != nullptr) ReThrowError(original);
    ereport(ERROR,
            (errcode(code), errmsg_internal("%s", text), errcontext("C++ function %s", name)));
    pg_unreachable();
}

void RecoverIteration(const char *what, int code, const char *text) {
    HOLD_INTERRUPTS();
    AbortCurrentTransaction();
    LWLockReleaseAll();  // abort does this only inside a transaction
    RESUME_INTERRUPTS();
    ereport(LOG, (errcode(code), errmsg("%s failed: %s", what, text),
                  errdetail("The next attempt is made at the next tick.")));
}

}  // namespace pgaf::pg
