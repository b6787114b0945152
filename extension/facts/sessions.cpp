#include "facts/sessions.hpp"

#include "facts/port_headers.hpp"
#include "facts/shared.hpp"
#include "facts/wake.hpp"

#include <algorithm>
#include <cstring>

extern "C" {
#include <catalog/pg_authid.h>
#include <netinet/in.h>
#include <utils/syscache.h>
}

namespace pgaf::facts {
namespace {

constexpr const char *kRole = "autoctl_node";
/// Of an IPv6 address the network of its machine, which has all of that.
constexpr std::size_t kAddressBytes = 8;
/// However few sessions the server has.
constexpr int kLeastPerAddress = 10;

struct Place {
    int pid;  ///< 0: free
    bool is_nodes;
    unsigned char address[kAddressBytes];
};

Place *places = nullptr;
bool is_counted = false;  ///< this process has its place

ClientAuthentication_hook_type previous_authentication = nullptr;

void PutAddress(const Port *port, unsigned char *address) {
    memset(address, 0, kAddressBytes);
    const sockaddr_storage &from = port->raddr.addr;
    if (from.ss_family == AF_INET) {
        memcpy(address, &reinterpret_cast<const sockaddr_in &>(from).sin_addr, sizeof(in_addr));
    } else if (from.ss_family == AF_INET6) {
        memcpy(address, &reinterpret_cast<const sockaddr_in6 &>(from).sin6_addr, kAddressBytes);
    }
}

/// Half of what the role may have.
int MostPerAddressUnsafe() {
    HeapTuple const tuple = SearchSysCache1(AUTHNAME, CStringGetDatum(kRole));
    if (!HeapTupleIsValid(tuple)) return MaxConnections;
    const int limit = reinterpret_cast<Form_pg_authid>(GETSTRUCT(tuple))->rolconnlimit;
    ReleaseSysCache(tuple);
    return std::max((limit < 0 ? MaxConnections : limit) / 2, kLeastPerAddress);
}

void FreePlace(int, Datum) {
    LWLockAcquire(GetShared().lock, LW_EXCLUSIVE);
    Place &own = places[OwnWakeSlot()];
    if (own.pid == MyProcPid) own = {};
    LWLockRelease(GetShared().lock);
}

/// False when its address has too many already.
bool TakePlaceUnsafe(const Port *port, int most) {
    unsigned char address[kAddressBytes];
    PutAddress(port, address);
    int count = 0;
    LWLockAcquire(GetShared().lock, LW_EXCLUSIVE);
    for (int i = 0; i < kPlaces; ++i) {
        const Place &other = places[i];
        const bool counts = other.pid != 0 && !other.is_nodes;
        if (counts && memcmp(other.address, address, kAddressBytes) == 0) ++count;
    }
    Place &own = places[OwnWakeSlot()];
    is_counted = count < most && own.pid == 0;  // two that share a place: one is not counted
    if (is_counted) {
        own.pid = MyProcPid;
        own.is_nodes = false;
        memcpy(own.address, address, kAddressBytes);
    }
    LWLockRelease(GetShared().lock);
    return count < most;
}

void OnAuthentication(Port *port, int status) {
    if (previous_authentication != nullptr) previous_authentication(port, status);
    if (status != STATUS_OK || strcmp(port->user_name, kRole) != 0) return;
    const int most = MostPerAddressUnsafe();
    if (!TakePlaceUnsafe(port, most)) {
        ereport(FATAL, (errcode(ERRCODE_TOO_MANY_CONNECTIONS),
                        errmsg("too many connections for role \"%s\" from this address", kRole),
                        errdetail("%d of them belong to no node.", most)));
    }
    if (is_counted) before_shmem_exit(FreePlace, 0);
}

}  // namespace

void NoteNodesSession() noexcept {
    if (!is_counted || places[OwnWakeSlot()].is_nodes) return;
    LWLockAcquire(GetShared().lock, LW_EXCLUSIVE);
    places[OwnWakeSlot()].is_nodes = true;
    LWLockRelease(GetShared().lock);
}

void NoteFormerSession(int pid, int slot) noexcept {
    LWLockAcquire(GetShared().lock, LW_EXCLUSIVE);
    if (places[slot].pid == pid) places[slot].is_nodes = false;
    LWLockRelease(GetShared().lock);
}

Size SessionBytesUnsafe() { return MAXALIGN(sizeof(Place) * kPlaces); }

void AttachSessionsUnsafe() {
    bool found = false;
    places = static_cast<Place *>(
        ShmemInitStruct("pgautofailover sessions", SessionBytesUnsafe(), &found));
    if (!found) memset(static_cast<void *>(places), 0, SessionBytesUnsafe());
}

void InstallSessionsUnsafe() {
    previous_authentication = ClientAuthentication_hook;
    ClientAuthentication_hook = OnAuthentication;
}

}  // namespace pgaf::facts
