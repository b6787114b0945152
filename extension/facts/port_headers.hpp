#pragma once

#include "pg/headers.hpp"

// Port, and what writes to a session without waiting. What they say of its TLS and GSS needs their
// headers.
#pragma push_macro("ENABLE_GSS")
#pragma push_macro("USE_OPENSSL")
#undef ENABLE_GSS
#undef USE_OPENSSL
extern "C" {
#include <libpq/auth.h>
#include <libpq/libpq-be.h>
#include <libpq/libpq.h>
}
#pragma pop_macro("USE_OPENSSL")
#pragma pop_macro("ENABLE_GSS")
