// The functions of NCCL by which ranks send each other bytes. Ranks are threads of one process, each with a device of its
// own; what is sent lies in a box until it is fetched, and whoever finds none waits.
#include <cstdio>
#include <cstring>
#include <deque>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#define EXPORT extern "C" __attribute__((visibility("default")))

// Of the stand-in for libcuda.
extern "C" int il_sim_enqueue(void* stream, int (*work)(void*), void* data, void (*drop)(void*));
extern "C" int il_sim_in_bounds(unsigned long long p, size_t bytes);
extern "C" int il_sim_wait(int (*ready)(void*), void* data);
extern "C" void il_sim_wake();
extern "C" void il_sim_alone(void (*work)(void*), void* data);

namespace standin {
namespace {

enum Result : int { SUCCESS = 0, INTERNAL_ERROR = 3, INVALID_ARGUMENT = 4, INVALID_USAGE = 5 };
constexpr int launch_failed = 719;  // CUresult

struct Id {
    char bytes[128];
};

// Ranks that know each other. Touched by whoever has the driver's lock.
struct World {
    int count = 0;
    std::map<std::pair<int, int>, std::deque<std::vector<char>>> boxes;  // from, to
};

struct Communicator {
    std::shared_ptr<World> world;
    int rank;
};

struct Transfer {
    bool sends;
    char* at;
    size_t bytes;
    int peer;
};

// What a group enqueues on one stream.
struct Work {
    Communicator* communicator;
    void* stream;
    std::vector<Transfer> transfers;
};

unsigned ids;
std::map<unsigned, std::weak_ptr<World>> worlds;
thread_local int depth;
thread_local std::vector<Work> group;

struct Wanted {
    std::deque<std::vector<char>>* box;
};
int is_there(void* wanted) { return !static_cast<Wanted*>(wanted)->box->empty(); }

int transfer(void* data) {
    Work& work = *static_cast<Work*>(data);
    World& world = *work.communicator->world;
    int rank = work.communicator->rank;
    for (const Transfer& t : work.transfers) {
        if (!il_sim_in_bounds(reinterpret_cast<unsigned long long>(t.at), t.bytes)) return launch_failed;
        if (t.sends) world.boxes[{rank, t.peer}].emplace_back(t.at, t.at + t.bytes);
    }
    il_sim_wake();
    for (const Transfer& t : work.transfers) {
        if (t.sends) continue;
        Wanted wanted{&world.boxes[{t.peer, rank}]};
        if (il_sim_wait(is_there, &wanted) != 0) {
            fprintf(stderr, "stand-in for NCCL: rank %d waits in vain for rank %d\n", rank, t.peer);
            return launch_failed;
        }
        std::vector<char> bytes = std::move(wanted.box->front());
        wanted.box->pop_front();
        if (bytes.size() != t.bytes) {
            fprintf(stderr, "stand-in for NCCL: rank %d sends %zu bytes, and rank %d wants %zu\n", t.peer, bytes.size(),
                    rank, t.bytes);
            return launch_failed;
        }
        memcpy(t.at, bytes.data(), bytes.size());
    }
    return 0;
}

void drop(void* data) { delete static_cast<Work*>(data); }

Result end() {
    std::vector<Work> all;
    all.swap(group);
    for (Work& work : all) {
        void* stream = work.stream;
        if (il_sim_enqueue(stream, transfer, new Work(std::move(work)), drop) != 0) return INTERNAL_ERROR;
    }
    return SUCCESS;
}

Result add(Transfer transfer, int type, Communicator* communicator, void* stream) {
    if (type != 1 || !communicator || !transfer.at) return INVALID_ARGUMENT;
    if (transfer.peer < 0 || transfer.peer >= communicator->world->count) return INVALID_ARGUMENT;
    if (group.empty() || group.back().communicator != communicator || group.back().stream != stream)
        group.push_back({communicator, stream, {}});
    group.back().transfers.push_back(transfer);
    return depth ? SUCCESS : end();
}

}  // namespace

EXPORT Result ncclGetVersion(int* version) {
    if (!version) return INVALID_ARGUMENT;
    *version = 22809;
    return SUCCESS;
}

EXPORT const char* ncclGetErrorString(int result) {
    switch (result) {
        case SUCCESS: return "no error";
        case INTERNAL_ERROR: return "internal error";
        case INVALID_ARGUMENT: return "invalid argument";
        case INVALID_USAGE: return "invalid usage";
        default: return "unknown result code";
    }
}

EXPORT Result ncclGetUniqueId(Id* id) {
    if (!id) return INVALID_ARGUMENT;
    memset(id, 0, sizeof *id);
    il_sim_alone([](void* id) {
        ids++;
        memcpy(static_cast<Id*>(id)->bytes, &ids, sizeof ids);
    }, id);
    return SUCCESS;
}

EXPORT Result ncclCommInitRank(Communicator** made, int count, Id id, int rank) {
    if (!made || rank < 0 || rank >= count) return INVALID_ARGUMENT;
    unsigned number;
    memcpy(&number, id.bytes, sizeof number);
    struct Ask {
        unsigned number;
        int count;
        std::shared_ptr<World> world;
    } ask{number, count, nullptr};
    il_sim_alone([](void* data) {
        Ask& ask = *static_cast<Ask*>(data);
        ask.world = worlds[ask.number].lock();
        if (!ask.world) {
            ask.world = std::make_shared<World>();
            ask.world->count = ask.count;
            worlds[ask.number] = ask.world;
        }
    }, &ask);
    if (ask.world->count != count) return INVALID_USAGE;
    *made = new Communicator{ask.world, rank};
    return SUCCESS;
}

EXPORT Result ncclCommAbort(Communicator* communicator) {
    delete communicator;
    return SUCCESS;
}

EXPORT Result ncclGroupStart() {
    depth++;
    return SUCCESS;
}

EXPORT Result ncclGroupEnd() {
    if (depth == 0) return INVALID_USAGE;
    return --depth ? SUCCESS : end();
}

EXPORT Result ncclSend(const void* from, size_t count, int type, int peer, Communicator* communicator, void* stream) {
    char* at = const_cast<char*>(static_cast<const char*>(from));
    return add({true, at, count, peer}, type, communicator, stream);
}

EXPORT Result ncclRecv(void* to, size_t count, int type, int peer, Communicator* communicator, void* stream) {
    return add({false, static_cast<char*>(to), count, peer}, type, communicator, stream);
}

}  // namespace standin
