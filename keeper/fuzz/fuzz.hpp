#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

/// What every target shares. A target is one file: it feeds the bytes to a reader, and what it
/// reads to the writer that belongs to it.
namespace pgaf::fuzz {

/// A property that must hold for every input; the fuzzer keeps the input that breaks it.
inline void Demand(bool holds) {
    if (!holds) std::abort();
}

inline std::string_view Text(const std::uint8_t *data, std::size_t size) {
    return {reinterpret_cast<const char *>(data), size};
}

}  // namespace pgaf::fuzz
