// A switch with a delay, for scripts/mpi-network.sh: takes frames from network interfaces, and gives each, so many
// microseconds after it came, to the one that it is addressed to. Not every kernel can delay frames itself.
//
//   mpi-delay MICROSECONDS INTERFACE...     until it is killed
//
// Whoever is behind the interface with number i, from 0, has the address 02:00:00:00:00:i. Frames are larger than those
// of a wire, as the kernel cuts them up as late as it can; how to do that is told by a header before each.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>

#define PORTS 64
#define HEADER 10 // struct virtio_net_hdr

struct frame {
    struct frame *next;
    int64_t due;
    int from;
    int length;
    unsigned char bytes[];
};

static int64_t nanoseconds(struct timespec t) {
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static int64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return nanoseconds(t);
}

static void fail(const char *what) {
    fprintf(stderr, "mpi-delay: %s: %s\n", what, strerror(errno));
    exit(1);
}

static int listen_on(const char *name) {
    int one = 1, buffer = 64 << 20;
    int s = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK, 0);
    struct sockaddr_ll at = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL), .sll_ifindex = if_nametoindex(name)};
    struct packet_mreq all = {.mr_ifindex = at.sll_ifindex, .mr_type = PACKET_MR_PROMISC};
    if (s < 0 || !at.sll_ifindex || setsockopt(s, SOL_PACKET, PACKET_VNET_HDR, &one, sizeof one)
        || setsockopt(s, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof one)
        || setsockopt(s, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &all, sizeof all)
        || setsockopt(s, SOL_SOCKET, SO_TIMESTAMPNS, &one, sizeof one)
        || setsockopt(s, SOL_SOCKET, SO_RCVBUFFORCE, &buffer, sizeof buffer)
        || setsockopt(s, SOL_SOCKET, SO_SNDBUFFORCE, &buffer, sizeof buffer) || bind(s, (struct sockaddr *)&at, sizeof at))
        fail(name);
    return s;
}

// The next frame that has come, with the time when the kernel saw it: not when this program found the time to look.
static struct frame *take(int s, int64_t delay) {
    static unsigned char bytes[HEADER + 128 * 1024];
    char control[256];
    struct iovec into = {bytes, sizeof bytes};
    struct msghdr message = {.msg_iov = &into, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    ssize_t length = recvmsg(s, &message, 0);
    if (length < HEADER + ETH_HLEN) return NULL;
    struct frame *f = malloc(sizeof *f + length);
    if (!f) return NULL;
    f->due = 0;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&message); c; c = CMSG_NXTHDR(&message, c))
        if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_TIMESTAMPNS) {
            struct timespec t;
            memcpy(&t, CMSG_DATA(c), sizeof t);
            f->due = nanoseconds(t);
        }
    f->due = (f->due ? f->due : now()) + delay;
    f->next = NULL;
    f->length = length;
    memcpy(f->bytes, bytes, length);
    return f;
}

int main(int count, char **words) {
    int ports = count - 2;
    if (ports < 2 || ports > PORTS) {
        fprintf(stderr, "mpi-delay MICROSECONDS INTERFACE... (2 to %d)\n", PORTS);
        return 2;
    }
    int64_t delay = atoll(words[1]) * 1000;
    struct pollfd polled[PORTS];
    for (int i = 0; i < ports; i++) polled[i] = (struct pollfd){.fd = listen_on(words[i + 2]), .events = POLLIN};
    // The delay of a network does not grow with the load of a machine.
    struct sched_param first = {.sched_priority = 1};
    sched_setscheduler(0, SCHED_FIFO, &first);
    prctl(PR_SET_TIMERSLACK, 1);
    struct frame *head = NULL, **tail = &head;
    for (;;) {
        int64_t wait = head ? head->due - now() : 1000000000;
        if (wait > 0) {
            struct timespec t = {wait / 1000000000, wait % 1000000000};
            ppoll(polled, ports, &t, NULL);
        }
        for (int i = 0; i < ports; i++)
            for (struct frame *f; (f = take(polled[i].fd, delay)); tail = &f->next, *tail = NULL) {
                f->from = i;
                *tail = f;
            }
        for (int64_t t = now(); head && head->due <= t;) {
            struct frame *f = head;
            unsigned char *to = f->bytes + HEADER;
            for (int i = 0; i < ports; i++)
                if (i != f->from && (to[0] & 1 || to[5] == i))
                    // One that does not fit is lost, as in any switch; TCP sends it again.
                    if (send(polled[i].fd, f->bytes, f->length, 0) < 0 && errno != ENOBUFS && errno != EAGAIN) fail("send");
            if (!(head = f->next)) tail = &head;
            free(f);
        }
    }
}
