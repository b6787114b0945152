#include "api/arguments.hpp"

#include <array>

extern "C" {
#include <netdb.h>
#include <sys/socket.h>
}

namespace pgaf::api {
namespace {

constexpr int kColumnsMax = 20;

struct PlainRow {
    std::array<Datum, kColumnsMax> values{};
    std::array<bool, kColumnsMax> nulls{};
};

PlainRow Flatten(const std::vector<Datum> &values, const std::vector<bool> &nulls) {
    PlainRow row;
    for (std::size_t i = 0; i < values.size(); ++i) {
        row.values.at(i) = values.at(i);
        row.nulls.at(i) = i < nulls.size() && nulls.at(i);
    }
    return row;
}

TupleDesc ResultTypeUnsafe(FunctionCallInfo fcinfo) {
    TupleDesc descriptor = nullptr;
    if (get_call_result_type(fcinfo, nullptr, &descriptor) != TYPEFUNC_COMPOSITE) {
        ereport(ERROR,
                (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                 errmsg("function returning record called in a context that cannot accept it")));
    }
    return BlessTupleDesc(descriptor);
}

}  // namespace

std::string TextArg(FunctionCallInfo fcinfo, int index) {
    return pg::FromText(PG_GETARG_DATUM(index));
}

std::string NameArg(FunctionCallInfo fcinfo, int index) {
    return std::string(NameStr(*DatumGetName(PG_GETARG_DATUM(index))));
}

std::optional<std::string> OptionalTextArg(FunctionCallInfo fcinfo, int index) {
    if (PG_ARGISNULL(index)) return std::nullopt;
    return TextArg(fcinfo, index);
}

core::NodeState StateArg(FunctionCallInfo fcinfo, int index) {
    Datum const label = PG_GETARG_DATUM(index);
    const char *const name =
        pg::CallPg([label] { return DatumGetCString(DirectFunctionCall1(enum_out, label)); });
    return core::ParseNodeState(name).value_or(core::NodeState::kUnknown);
}

Datum StateDatum(FunctionCallInfo fcinfo, int result_column, core::NodeState state) {
    const std::string name(core::ToString(state));
    const char *const text = name.c_str();
    return pg::CallPg([=] {
        TupleDesc const descriptor = ResultTypeUnsafe(fcinfo);
        Oid const type = TupleDescAttr(descriptor, result_column)->atttypid;
        return DirectFunctionCall2(enum_in, CStringGetDatum(text), ObjectIdGetDatum(type));
    });
}

Datum Row(FunctionCallInfo fcinfo, const std::vector<Datum> &values,
          const std::vector<bool> &nulls) {
    PlainRow row = Flatten(values, nulls);
    PlainRow *const plain = &row;
    return pg::CallPg([=] {
        TupleDesc const descriptor = ResultTypeUnsafe(fcinfo);
        return HeapTupleGetDatum(
            heap_form_tuple(descriptor, plain->values.data(), plain->nulls.data()));
    });
}

void StartSet(FunctionCallInfo fcinfo) {
    pg::CallPg([=] { pg::InitMaterializedSetUnsafe(fcinfo); });
}

void PutRow(FunctionCallInfo fcinfo, const std::vector<Datum> &values,
            const std::vector<bool> &nulls) {
    PlainRow row = Flatten(values, nulls);
    PlainRow *const plain = &row;
    auto *const result = reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo);
    pg::CallPg([=] {
        tuplestore_putvalues(result->setResult, result->setDesc, plain->values.data(),
                             plain->nulls.data());
    });
}

std::string ResolveHost(const std::string &host) {
    addrinfo hints{};
    hints.ai_family = AF_UNSPEC;
    hints.ai_socktype = SOCK_STREAM;
    addrinfo *found = nullptr;
    if (getaddrinfo(host.c_str(), nullptr, &hints, &found) != 0 || found == nullptr) return "";
    std::array<char, 64> text{};
    const int result = getnameinfo(found->ai_addr, found->ai_addrlen, text.data(),
                                   static_cast<socklen_t>(text.size()), nullptr, 0, NI_NUMERICHOST);
    freeaddrinfo(found);
    return result == 0 ? std::string(text.data()) : std::string();
}

}  // namespace pgaf::api
