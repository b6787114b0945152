#pragma once

#include <libpq-fe.h>

#include <optional>
#include <string>

#include "pgaf/core/result.hpp"

/// Whom a session of libpq has at its other end, as its certificate says. For the program and for
/// the module in the server.
namespace pgaf::tls {

/// Empty without TLS.
std::string PeerFingerprint(PGconn *connection);

/// Of the first certificate in a file of PEM; empty when there is none.
std::string FingerprintOfFile(const std::string &path);

/// Compares the certificate with those that the connection string pins, if it does (core::PinOf).
/// To be called after every PQconnectPoll and before the next: the first call after the handshake
/// comes before anything was sent that somebody else must not get.
std::optional<core::Problem> CheckPeer(PGconn *connection);

}  // namespace pgaf::tls
