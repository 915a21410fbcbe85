/*
 * The laboratory's internet: an Ethernet switch whose ports are TAP devices inside other network
 * namespaces. Every frame spends the same time in it (half a round trip), some are lost.
 *
 * Commands, one a line on stdin; each is answered on stdout by one line, "ok" or "error ...":
 *   port NETNS IFNAME         adds a port: a TAP device of that name inside that namespace
 *   wire DELAY_US JITTER_US LOSS_PPM   how long frames stay, how much that varies, how many are lost
 *   lag PORT EXTRA_US         frames to this port (0 is the first one added) stay that much longer
 * It ends when stdin ends, and the TAP devices go with it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum {
  MAX_PORTS = 256,
  MAX_FRAME = 2048,             /* MTU 1500 with headers, rounded up */
  QUEUE_BYTES = 16 << 20,       /* a port's delay line: 500 Mbit/s for 250 ms; beyond it, tail drop */
  MAC_SLOTS = 4096,             /* power of two; a collision only means that a frame is flooded */
  READ_BATCH = 64,              /* frames taken from one port before the others get a turn */
};
#define SLACK_NS 50000ull       /* frames due within this are sent together: fewer wake-ups */

struct slot { uint64_t due; uint32_t length; uint32_t skip; };
struct port { int tap; uint8_t *ring; uint64_t head, tail, last_due, lag_ns; };
struct mac_entry { uint8_t mac[6]; int16_t port; };

static struct port ports[MAX_PORTS];
static int port_count;
static struct mac_entry macs[MAC_SLOTS];
static uint64_t delay_ns, jitter_ns, random_state;
static uint32_t loss_ppm;
static int poller, timer, home_netns;

static uint64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec;
}

static uint64_t random64(void) { /* xorshift64 */
  random_state ^= random_state << 13;
  random_state ^= random_state >> 7;
  random_state ^= random_state << 17;
  return random_state;
}

static struct mac_entry *mac_slot(const uint8_t *mac) {
  uint32_t hash = 2166136261u;
  for (int i = 0; i < 6; i++) hash = (hash ^ mac[i]) * 16777619u;
  return &macs[hash & (MAC_SLOTS - 1)];
}

/* Address resolution is an artefact of the flat laboratory: it is neither delayed nor lost. */
static int is_neighbour_discovery(const uint8_t *frame, ssize_t length) {
  if (frame[12] == 0x08 && frame[13] == 0x06) return 1;
  return length > 54 && frame[12] == 0x86 && frame[13] == 0xdd && frame[20] == 58 && frame[54] >= 133 &&
         frame[54] <= 137;
}

/* Appends a frame to a port's delay line. A slot never wraps: the end of the ring is skipped instead. */
static void enqueue(struct port *port, const uint8_t *frame, uint32_t length, uint64_t due) {
  uint32_t need = (uint32_t)((sizeof(struct slot) + length + 15) & ~15u);
  uint64_t offset = port->tail % QUEUE_BYTES;
  uint64_t skip = offset + need > QUEUE_BYTES ? QUEUE_BYTES - offset : 0;
  if (port->tail + skip + need - port->head > QUEUE_BYTES) return;
  if (skip) {
    ((struct slot *)(port->ring + offset))->skip = (uint32_t)skip;
    port->tail += skip;
    offset = 0;
  }
  if (due < port->last_due) due = port->last_due; /* jitter does not reorder */
  port->last_due = due;
  struct slot *slot = (struct slot *)(port->ring + offset);
  slot->due = due;
  slot->length = length;
  slot->skip = 0;
  memcpy(slot + 1, frame, length);
  port->tail += need;
}

static struct slot *first_slot(struct port *port) {
  if (port->head == port->tail) return NULL;
  struct slot *slot = (struct slot *)(port->ring + port->head % QUEUE_BYTES);
  if (slot->skip) {
    port->head += slot->skip;
    slot = (struct slot *)(port->ring + port->head % QUEUE_BYTES);
  }
  return slot;
}

static void transmit(struct port *port, const void *frame, size_t length) {
  /* A device that is down or full loses the frame, as a wire would. */
  if (write(port->tap, frame, length) < 0) return;
}

static void forward(int from, const uint8_t *frame, ssize_t length, uint64_t now) {
  struct mac_entry *source = mac_slot(frame + 6);
  memcpy(source->mac, frame + 6, 6);
  source->port = (int16_t)from;
  int at_once = is_neighbour_discovery(frame, length);
  if (!at_once && loss_ppm && random64() % 1000000 < loss_ppm) return;
  uint64_t due = now + delay_ns + (jitter_ns ? random64() % jitter_ns : 0);
  struct mac_entry *target = mac_slot(frame);
  int known = !(frame[0] & 1) && memcmp(target->mac, frame, 6) == 0;
  int first = known ? target->port : 0, last = known ? target->port : port_count - 1;
  for (int i = first; i <= last; i++) {
    if (i == from) continue;
    if (at_once) transmit(&ports[i], frame, (size_t)length);
    else enqueue(&ports[i], frame, (uint32_t)length, due + ports[i].lag_ns);
  }
}

static void receive(int index) {
  uint8_t frame[MAX_FRAME];
  uint64_t now = now_ns();
  for (int i = 0; i < READ_BATCH; i++) {
    ssize_t length = read(ports[index].tap, frame, sizeof frame);
    if (length < 14) return;
    forward(index, frame, length, now);
  }
}

/* Sends what is due and returns when the next frame is, or 0 when nothing waits. */
static uint64_t deliver(void) {
  uint64_t next = 0, now = now_ns();
  for (int i = 0; i < port_count; i++) {
    struct slot *slot;
    while ((slot = first_slot(&ports[i])) && slot->due <= now + SLACK_NS) {
      transmit(&ports[i], slot + 1, slot->length);
      ports[i].head += (sizeof(struct slot) + slot->length + 15) & ~15ull;
    }
    if (slot && (!next || slot->due < next)) next = slot->due;
  }
  return next;
}

static void arm(uint64_t due) {
  static uint64_t armed;
  if (due == armed) return;
  armed = due;
  struct itimerspec spec = {.it_value = {(time_t)(due / 1000000000ull), (long)(due % 1000000000ull)}};
  timerfd_settime(timer, TFD_TIMER_ABSTIME, &spec, NULL);
}

static void watch(int fd, uint32_t tag) {
  struct epoll_event event = {.events = EPOLLIN, .data.u32 = tag};
  epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event);
}

static int open_tap(const char *netns, const char *name) {
  char path[256];
  snprintf(path, sizeof path, "/run/netns/%s", netns);
  int target = open(path, O_RDONLY | O_CLOEXEC);
  if (target < 0) return -1;
  int tap = -1;
  if (setns(target, CLONE_NEWNET) == 0) {
    struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI};
    memcpy(request.ifr_name, name, strlen(name) + 1);
    tap = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (tap >= 0 && ioctl(tap, TUNSETIFF, &request) < 0) {
      close(tap);
      tap = -1;
    }
    if (setns(home_netns, CLONE_NEWNET) < 0) abort();
  }
  close(target);
  return tap;
}

static const char *add_port(const char *netns, const char *name) {
  if (port_count == MAX_PORTS) return "no port left";
  struct port *port = &ports[port_count];
  port->ring = mmap(NULL, QUEUE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (port->ring == MAP_FAILED) return "no memory for the queue";
  port->tap = open_tap(netns, name);
  if (port->tap < 0) return strerror(errno);
  watch(port->tap, (uint32_t)port_count++);
  return NULL;
}

static void command(char *line) {
  char netns[128], name[IFNAMSIZ];
  unsigned long long delay_us, jitter_us;
  unsigned loss, port;
  const char *error = NULL;
  if (sscanf(line, "port %127s %15s", netns, name) == 2) error = add_port(netns, name);
  else if (sscanf(line, "wire %llu %llu %u", &delay_us, &jitter_us, &loss) == 3) {
    delay_ns = delay_us * 1000;
    jitter_ns = jitter_us * 1000;
    loss_ppm = loss;
  } else if (sscanf(line, "lag %u %llu", &port, &delay_us) == 2 && (int)port < port_count) {
    ports[port].lag_ns = delay_us * 1000;
  } else error = "unknown command";
  if (error) printf("error %s\n", error);
  else printf("ok\n");
  fflush(stdout);
}

/* Reads complete lines; returns 0 when stdin has ended. */
static int read_commands(void) {
  static char buffer[4096];
  static size_t used;
  ssize_t got = read(0, buffer + used, sizeof buffer - 1 - used);
  if (got <= 0) return 0;
  used += (size_t)got;
  buffer[used] = 0;
  char *start = buffer, *end;
  while ((end = strchr(start, '\n'))) {
    *end = 0;
    command(start);
    start = end + 1;
  }
  used -= (size_t)(start - buffer);
  memmove(buffer, start, used);
  return used < sizeof buffer - 1;
}

int main(void) {
  enum { STDIN = MAX_PORTS, TIMER };
  struct epoll_event events[64];
  random_state = now_ns() | 1;
  home_netns = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
  poller = epoll_create1(EPOLL_CLOEXEC);
  timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
  if (home_netns < 0 || poller < 0 || timer < 0) return 1;
  watch(0, STDIN);
  watch(timer, TIMER);
  for (;;) {
    int count = epoll_wait(poller, events, 64, -1);
    for (int i = 0; i < count; i++) {
      uint32_t tag = events[i].data.u32;
      uint64_t expirations;
      if (tag == STDIN && !read_commands()) return 0;
      if (tag == TIMER && read(timer, &expirations, sizeof expirations) < 0) continue;
      if (tag < MAX_PORTS) receive((int)tag);
    }
    arm(deliver());
  }
}
