/*
 * A WebSocket load: N connections to one port of this machine, each with so many messages under way, timed.
 *
 * Theory of operation. One thread, one epoll, level-triggered. All messages are the same masked frame, built once, so a
 * message costs this program a send and a comparison and never becomes the bottleneck. Every answer is checked: opcode,
 * reserved bits, length, and (where it is not compressed) each byte. Phases: open all connections and their handshakes,
 * exchange messages until the time or their number is up, print one JSON line, end. With --gate it prints a line
 * after the first phase too, and after either waits for a line on standard input, so that whoever measures the server
 * can leave the handshakes out, or look at it while all connections are idle.
 *
 * It talks to 127.0.0.1 only, and every wait has an end.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

/* Limits. All arbitrary, well above what the benchmark asks for. */
enum {
    MOST_CONNECTIONS = 16384,
    MOST_OUTSTANDING = 64,
    MOST_SIZE = 8 * 1024 * 1024,
    MOST_SECONDS = 600,
    HEAD_SIZE = 8192,
    READ_SIZE = 256 * 1024,
    OPEN_SECONDS = 20,
    GATE_SECONDS = 120,
    /* Latencies are counted by the microsecond up to this many; what took longer counts as this. */
    LATENCIES = 10 * 1000 * 1000,
};

/* RFC 6455 1.3: the sample key and its answer. A constant key spares this program SHA-1 and proves as much. */
static const char KEY[] = "dGhlIHNhbXBsZSBub25jZQ==";
static const char ACCEPT[] = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
static const uint8_t MASK[4] = {0x37, 0xfa, 0x21, 0x3d}; /* RFC 6455 5.7, example */

enum { CONTINUATION = 0x0, BINARY = 0x2, CLOSE = 0x8, PING = 0x9, PONG = 0xa };

enum state { CONNECTING, SHAKING, OPEN, CLOSED };

struct connection {
    int fd;
    enum state state;
    uint32_t events; /* what epoll watches */
    bool deflated;   /* the server has accepted permessage-deflate */

    /* Sending: whole copies of `frame` that are due, and how far the first one is sent. */
    int due;
    size_t sent;
    uint8_t control[2 + 4 + 125]; /* one pong, which goes out between two frames */
    size_t control_size, control_sent;

    /* Messages that wait for their answer: when each was begun, a ring. */
    int64_t begun[MOST_OUTSTANDING];
    int first, waiting;
    long exchanged;

    /* Receiving: the header of a frame as far as it is here, then its payload as far as that is here. */
    uint8_t header[10];
    int header_size;
    uint64_t payload, taken;
    bool in_payload, in_message, compressed;
    uint64_t message_size;
    uint8_t ping[125];

    char *head; /* the response to the handshake so far */
    size_t head_size;
};

static struct {
    int port, connections, size, seconds, outstanding;
    long count;
    bool deflate, gate;
    const char *path;
} option = {.connections = 1, .size = 64, .seconds = 1, .outstanding = 1, .path = "/"};

static struct connection *connections;
static uint8_t *frame, *text;
static size_t frame_size;
static int epoll_fd, open_count, lost_count, done_count;
static long messages, wrong;
static int deflated_count;
static uint32_t *latencies;
static char complaint[256]; /* the first thing that went wrong */

static void complain(const char *format, ...)
{
    if (complaint[0])
        return;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(complaint, sizeof complaint, format, arguments);
    va_end(arguments);
}

__attribute__((noreturn)) static void die(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fputs("ws_load: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    exit(1);
}

static int64_t now_ns(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

/* ---- Frames ---- */

/* RFC 6455 5.2: FIN, opcode, masked length, mask, masked payload. */
static void build_frame(void)
{
    text = malloc((size_t)option.size + 1);
    frame = malloc((size_t)option.size + 32);
    if (!text || !frame)
        die("out of memory");
    for (int i = 0; i < option.size; i++)
        text[i] = (uint8_t)("0123456789abcdef"[i % 16]);

    uint8_t *payload = text;
    uint64_t size = (uint64_t)option.size;
    uint8_t *packed = NULL;
    if (option.deflate) {
        /* RFC 7692 7.2.3.3: one DEFLATE block without compression, and the first byte of the empty one after it. */
        if (option.size > 65535)
            die("--size %d is more than one stored block holds (65535) with --deflate", option.size);
        packed = malloc(size + 6);
        if (!packed)
            die("out of memory");
        packed[0] = 0;
        packed[1] = (uint8_t)size;
        packed[2] = (uint8_t)(size >> 8);
        packed[3] = (uint8_t)~packed[1];
        packed[4] = (uint8_t)~packed[2];
        memcpy(packed + 5, text, size);
        packed[5 + size] = 0;
        payload = packed;
        size += 6;
    }
    size_t at = 0;
    frame[at++] = 0x80 | (option.deflate ? 0x40 : 0) | BINARY;
    if (size < 126) {
        frame[at++] = (uint8_t)(0x80 | size);
    } else if (size < 65536) {
        frame[at++] = 0x80 | 126;
        frame[at++] = (uint8_t)(size >> 8);
        frame[at++] = (uint8_t)size;
    } else {
        frame[at++] = 0x80 | 127;
        for (int shift = 56; shift >= 0; shift -= 8)
            frame[at++] = (uint8_t)(size >> shift);
    }
    memcpy(frame + at, MASK, 4);
    at += 4;
    for (uint64_t i = 0; i < size; i++)
        frame[at++] = payload[i] ^ MASK[i % 4];
    frame_size = at;
    free(packed);
}

static void watch(struct connection *one, uint32_t events)
{
    if (one->events == events)
        return;
    struct epoll_event event = {.events = events, .data.ptr = one};
    epoll_ctl(epoll_fd, one->events ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, one->fd, &event);
    one->events = events;
}

static void lose(struct connection *one)
{
    if (one->state == CLOSED)
        return;
    if (one->state == OPEN)
        open_count--;
    one->state = CLOSED;
    lost_count++;
    close(one->fd);
}

/* A violation of the protocol, or an echo that is none. */
static void refuse(struct connection *one, const char *format, ...)
{
    va_list arguments;
    char reason[200];
    va_start(arguments, format);
    vsnprintf(reason, sizeof reason, format, arguments);
    va_end(arguments);
    complain("%s", reason);
    wrong++;
    lose(one);
}

/* Send as much as the socket takes: the rest of a begun frame, then a pong, then frames that are due. */
static void flush(struct connection *one)
{
    while (one->state == OPEN && (one->due > 0 || one->control_sent < one->control_size)) {
        struct iovec parts[MOST_OUTSTANDING + 1];
        int count = 0, frames = one->due;
        bool between = one->control_sent < one->control_size;
        if (one->sent > 0 || !between) {
            if (between)
                frames = 1; /* the pong must not wait for the others */
            for (int i = 0; i < frames; i++) {
                size_t skip = i == 0 ? one->sent : 0;
                parts[count++] = (struct iovec){frame + skip, frame_size - skip};
            }
        } else {
            parts[count++] = (struct iovec){one->control + one->control_sent, one->control_size - one->control_sent};
            frames = 0;
        }
        ssize_t size = writev(one->fd, parts, count);
        if (size < 0) {
            if (errno == EAGAIN)
                break;
            complain("sending failed: %s", strerror(errno));
            lose(one);
            return;
        }
        if (frames == 0) {
            one->control_sent += (size_t)size;
            continue;
        }
        size_t total = one->sent + (size_t)size;
        one->due -= (int)(total / frame_size);
        one->sent = total % frame_size;
    }
    if (one->state == OPEN) {
        bool left = one->due > 0 || one->control_sent < one->control_size;
        watch(one, left ? EPOLLIN | EPOLLOUT : EPOLLIN);
    }
}

/* Begin one message. */
static void begin(struct connection *one, int64_t now)
{
    one->begun[(one->first + one->waiting) % MOST_OUTSTANDING] = now;
    one->waiting++;
    one->due++;
}

static void finish_message(struct connection *one, int64_t now)
{
    if (one->waiting == 0) {
        refuse(one, "a message came that answers none");
        return;
    }
    int64_t took = (now - one->begun[one->first]) / 1000;
    one->first = (one->first + 1) % MOST_OUTSTANDING;
    one->waiting--;
    one->exchanged++;
    messages++;
    latencies[took < LATENCIES ? took : LATENCIES - 1]++;
    if (option.count == 0 || one->exchanged + one->waiting < option.count)
        begin(one, now);
    else if (one->exchanged == option.count)
        done_count++;
}

/* RFC 6455 5.5.3: a pong carries what the ping carried. A newer ping replaces one that is not answered yet. */
static void answer_ping(struct connection *one)
{
    if (one->control_sent > 0 && one->control_sent < one->control_size)
        return;
    size_t size = one->payload;
    one->control[0] = 0x80 | PONG;
    one->control[1] = (uint8_t)(0x80 | size);
    memcpy(one->control + 2, MASK, 4);
    for (size_t i = 0; i < size; i++)
        one->control[6 + i] = one->ping[i] ^ MASK[i % 4];
    one->control_size = 6 + size;
    one->control_sent = 0;
}

static int header_needs(const struct connection *one)
{
    if (one->header_size < 2)
        return 2;
    int length = one->header[1] & 0x7f;
    return length < 126 ? 2 : length == 126 ? 4 : 10;
}

/* A frame's header is complete: check it (RFC 6455 5.2, 5.4, 5.5) and note the length of its payload. */
static void begin_payload(struct connection *one)
{
    const uint8_t *header = one->header;
    int opcode = header[0] & 0x0f, reserved = header[0] & 0x70;
    bool last = header[0] & 0x80, control = opcode & 0x08;
    uint64_t length = header[1] & 0x7f;
    if (length == 126) {
        length = (uint64_t)header[2] << 8 | header[3];
    } else if (length == 127) {
        length = 0;
        for (int i = 2; i < 10; i++)
            length = length << 8 | header[i];
    }
    if (header[1] & 0x80)
        refuse(one, "the server masked a frame");
    else if (control && (!last || length > 125 || reserved))
        refuse(one, "a control frame is fragmented, too long or has reserved bits");
    else if (control && opcode != CLOSE && opcode != PING && opcode != PONG)
        refuse(one, "unknown opcode %d", opcode);
    else if (!control && opcode != (one->in_message ? CONTINUATION : BINARY))
        refuse(one, "opcode %d where %d was due", opcode, one->in_message ? CONTINUATION : BINARY);
    else if (!control && reserved && (reserved != 0x40 || one->in_message || !one->deflated))
        refuse(one, "reserved bits 0x%02x", reserved);
    if (one->state != OPEN)
        return;
    if (!control && !one->in_message) {
        one->in_message = true;
        one->compressed = reserved;
        one->message_size = 0;
    }
    one->payload = length;
    one->taken = 0;
    one->in_payload = true;
}

static void take_payload(struct connection *one, const uint8_t *data, size_t size)
{
    int opcode = one->header[0] & 0x0f;
    if (opcode & 0x08) {
        memcpy(one->ping + one->taken, data, size);
    } else {
        if (!one->compressed) {
            if (one->message_size + size > (uint64_t)option.size) {
                refuse(one, "an echo of more than %d bytes", option.size);
                return;
            }
            if (memcmp(text + one->message_size, data, size) != 0) {
                refuse(one, "an echo of other bytes");
                return;
            }
        }
        one->message_size += size;
    }
    one->taken += size;
}

static void end_frame(struct connection *one, int64_t now)
{
    int opcode = one->header[0] & 0x0f;
    bool last = one->header[0] & 0x80;
    one->in_payload = false;
    one->header_size = 0;
    if (opcode == PING) {
        answer_ping(one);
    } else if (opcode == CLOSE) {
        int code = one->payload >= 2 ? one->ping[0] << 8 | one->ping[1] : 1005;
        complain("the server closed a connection with status %d", code);
        lose(one);
    } else if (opcode != PONG && last) {
        one->in_message = false;
        if (!one->compressed && one->message_size != (uint64_t)option.size)
            refuse(one, "an echo of %llu bytes, not %d", (unsigned long long)one->message_size, option.size);
        else
            finish_message(one, now);
    }
}

static void take_bytes(struct connection *one, const uint8_t *data, size_t size, int64_t now)
{
    while (one->state == OPEN) {
        if (!one->in_payload) {
            while (size > 0 && one->header_size < header_needs(one)) {
                one->header[one->header_size++] = *data++;
                size--;
            }
            if (one->header_size < 2 || one->header_size < header_needs(one))
                return;
            begin_payload(one);
            continue;
        }
        uint64_t left = one->payload - one->taken;
        size_t part = left < size ? (size_t)left : size;
        if (part > 0) {
            take_payload(one, data, part);
            data += part;
            size -= part;
        }
        if (one->state != OPEN || one->taken < one->payload)
            return;
        end_frame(one, now);
    }
}

/* ---- Handshake ---- */

/* Find a header's value in a response; case-insensitive name, value without surrounding blanks. */
static bool find_header(const char *head, const char *name, char *value, size_t room)
{
    size_t length = strlen(name);
    for (const char *line = strstr(head, "\r\n"); line && line[2]; line = strstr(line + 2, "\r\n")) {
        const char *start = line + 2;
        if (strncasecmp(start, name, length) != 0 || start[length] != ':')
            continue;
        start += length + 1;
        start += strspn(start, " \t");
        size_t size = strcspn(start, "\r\n");
        while (size > 0 && (start[size - 1] == ' ' || start[size - 1] == '\t'))
            size--;
        if (size >= room)
            return false;
        memcpy(value, start, size);
        value[size] = 0;
        return true;
    }
    return false;
}

/* RFC 6455 4.1: what a client checks in the response. A server that fails it is not measured at all. */
static void check_response(struct connection *one)
{
    char value[256];
    if (strncmp(one->head, "HTTP/1.1 101", 12) != 0)
        die("the handshake was answered with %.*s", (int)strcspn(one->head, "\r\n"), one->head);
    if (!find_header(one->head, "Upgrade", value, sizeof value) || strcasecmp(value, "websocket") != 0)
        die("the response to the handshake has no Upgrade: websocket");
    if (!find_header(one->head, "Connection", value, sizeof value) || !strcasestr(value, "upgrade"))
        die("the response to the handshake has no Connection: Upgrade");
    if (!find_header(one->head, "Sec-WebSocket-Accept", value, sizeof value) || strcmp(value, ACCEPT) != 0)
        die("the response to the handshake has a wrong Sec-WebSocket-Accept");
    if (find_header(one->head, "Sec-WebSocket-Extensions", value, sizeof value)) {
        if (!option.deflate || strncasecmp(value, "permessage-deflate", 18) != 0)
            die("the server chose an extension that was not offered: %s", value);
        one->deflated = true;
        deflated_count++;
    }
}

static void send_request(struct connection *one)
{
    char request[1024];
    /* The offer of permessage-deflate is that of Chromium and Firefox. */
    int size = snprintf(request, sizeof request,
                        "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                        "Sec-WebSocket-Key: %s\r\nSec-WebSocket-Version: 13\r\n%s\r\n",
                        option.path, option.port, KEY,
                        option.deflate ? "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n" : "");
    if (size >= (int)sizeof request)
        die("--path is too long");
    if (send(one->fd, request, (size_t)size, MSG_NOSIGNAL) != size)
        die("the request for the handshake could not be sent: %s", strerror(errno));
    one->state = SHAKING;
    watch(one, EPOLLIN);
}

static void take_head(struct connection *one, const uint8_t *data, size_t size, int64_t now)
{
    if (!one->head && !(one->head = malloc(HEAD_SIZE + 1)))
        die("out of memory");
    size_t part = HEAD_SIZE - one->head_size < size ? HEAD_SIZE - one->head_size : size;
    memcpy(one->head + one->head_size, data, part);
    one->head_size += part;
    one->head[one->head_size] = 0;
    char *end = strstr(one->head, "\r\n\r\n");
    if (!end) {
        if (one->head_size == HEAD_SIZE)
            die("the response to the handshake is longer than %d bytes", HEAD_SIZE);
        return;
    }
    size_t rest = size - part + one->head_size - (size_t)(end + 4 - one->head);
    end[2] = 0;
    check_response(one);
    free(one->head);
    one->head = NULL;
    one->state = OPEN;
    open_count++;
    take_bytes(one, data + size - rest, rest, now);
}

static void connect_one(struct connection *one)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)option.port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int yes = 1;
    one->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (one->fd < 0)
        die("no socket: %s", strerror(errno));
    setsockopt(one->fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    if (connect(one->fd, (struct sockaddr *)&address, sizeof address) < 0 && errno != EINPROGRESS)
        die("port %d: %s", option.port, strerror(errno));
    watch(one, EPOLLOUT);
}

/* ---- Events ---- */

static void receive(struct connection *one)
{
    static uint8_t buffer[READ_SIZE];
    ssize_t size = recv(one->fd, buffer, sizeof buffer, 0);
    if (size < 0 && errno == EAGAIN)
        return;
    if (size <= 0) {
        const char *reason = size == 0 ? "the server closed the connection" : strerror(errno);
        if (one->state != OPEN)
            die("the handshake failed: %s", reason);
        complain("%s", reason);
        lose(one);
        return;
    }
    int64_t now = now_ns();
    if (one->state == SHAKING)
        take_head(one, buffer, (size_t)size, now);
    else
        take_bytes(one, buffer, (size_t)size, now);
}

static void handle(struct connection *one, uint32_t events)
{
    if (one->state == CLOSED)
        return;
    if (one->state == CONNECTING) {
        int error = 0;
        socklen_t size = sizeof error;
        getsockopt(one->fd, SOL_SOCKET, SO_ERROR, &error, &size);
        if (error)
            die("port %d: %s", option.port, strerror(error));
        send_request(one);
        return;
    }
    if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
        receive(one);
    if (one->state == OPEN)
        flush(one);
}

/* Handle events until `deadline` or until `is_over` says so. */
static void run_until(int64_t deadline, bool (*is_over)(void))
{
    struct epoll_event events[256];
    while (!is_over()) {
        int64_t left = deadline - now_ns();
        if (left <= 0)
            return;
        int count = epoll_wait(epoll_fd, events, 256, (int)(left / 1000000) + 1);
        if (count < 0 && errno != EINTR)
            die("epoll_wait: %s", strerror(errno));
        for (int i = 0; i < count; i++)
            handle(events[i].data.ptr, events[i].events);
    }
}

static bool all_open(void)
{
    return open_count + lost_count == option.connections;
}

static bool all_done(void)
{
    return done_count + lost_count >= option.connections;
}

static double percentile(double share)
{
    int64_t target = (int64_t)((double)messages * share), seen = 0;
    for (int i = 0; i < LATENCIES; i++) {
        seen += latencies[i];
        if (seen > target)
            return i;
    }
    return 0;
}

/* Wait for a line from whoever measures; false: nobody does any more. */
static bool wait_at_gate(void)
{
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    char byte = 0;
    while (byte != '\n')
        if (poll(&input, 1, GATE_SECONDS * 1000) != 1 || read(STDIN_FILENO, &byte, 1) != 1)
            return false;
    return true;
}

static int parse_number(const char *name, const char *value, int least, int most)
{
    char *end;
    long number = strtol(value, &end, 10);
    if (*end || end == value || number < least || number > most)
        die("--%s %s is not a number from %d to %d", name, value, least, most);
    return (int)number;
}

static void parse_options(int argc, char **argv)
{
    static const struct option known[] = {
        {"port", required_argument, 0, 'p'},     {"connections", required_argument, 0, 'c'},
        {"size", required_argument, 0, 's'},     {"seconds", required_argument, 0, 't'},
        {"outstanding", required_argument, 0, 'o'}, {"count", required_argument, 0, 'n'},
        {"path", required_argument, 0, 'u'},     {"deflate", no_argument, 0, 'd'},
        {"gate", no_argument, 0, 'g'},           {0},
    };
    int letter;
    while ((letter = getopt_long(argc, argv, "", known, NULL)) != -1) {
        switch (letter) {
        case 'p': option.port = parse_number("port", optarg, 1, 65535); break;
        case 'c': option.connections = parse_number("connections", optarg, 1, MOST_CONNECTIONS); break;
        case 's': option.size = parse_number("size", optarg, 0, MOST_SIZE); break;
        case 't': option.seconds = parse_number("seconds", optarg, 1, MOST_SECONDS); break;
        case 'o': option.outstanding = parse_number("outstanding", optarg, 1, MOST_OUTSTANDING); break;
        case 'n': option.count = parse_number("count", optarg, 1, 1000000000); break;
        case 'u': option.path = optarg; break;
        case 'd': option.deflate = true; break;
        case 'g': option.gate = true; break;
        default: exit(2);
        }
    }
    if (!option.port || optind < argc)
        die("usage: ws_load --port N [--connections N] [--size BYTES] [--seconds N] [--outstanding N] [--count N] "
            "[--path PATH] [--deflate] [--gate]");
}

int main(int argc, char **argv)
{
    parse_options(argc, argv);
    signal(SIGPIPE, SIG_IGN);
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    if (files.rlim_max < (rlim_t)option.connections + 16)
        die("%d connections need as many open files; the limit is %ld", option.connections, (long)files.rlim_max);

    connections = calloc((size_t)option.connections, sizeof *connections);
    latencies = calloc(LATENCIES, sizeof *latencies);
    if (!connections || !latencies)
        die("out of memory");
    build_frame();
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    for (int i = 0; i < option.connections; i++)
        connect_one(&connections[i]);
    run_until(now_ns() + OPEN_SECONDS * 1000000000LL, all_open);
    if (open_count != option.connections)
        die("%d of %d connections open after %d s", open_count, option.connections, OPEN_SECONDS);
    if (option.deflate && deflated_count != option.connections) {
        if (deflated_count)
            die("the server accepted permessage-deflate on %d of %d connections", deflated_count, option.connections);
        /* RFC 7692 5: not accepted, not used. */
        option.deflate = false;
        build_frame();
    }
    if (option.gate) {
        printf("{\"open\":%d,\"deflated\":%d}\n", open_count, deflated_count);
        fflush(stdout);
        if (!wait_at_gate())
            die("nobody opened the gate");
    }

    int64_t started = now_ns();
    for (int i = 0; i < option.connections; i++) {
        for (int k = 0; k < option.outstanding && (option.count == 0 || k < option.count); k++)
            begin(&connections[i], now_ns());
        flush(&connections[i]);
    }
    run_until(started + option.seconds * 1000000000LL, all_done);
    double took = (double)(now_ns() - started) / 1e3;
    if (option.count && !all_done())
        complain("%d of %d connections had their answers after %d s", done_count, option.connections, option.seconds);
    if (complaint[0])
        fprintf(stderr, "ws_load: %s\n", complaint);
    printf("{\"messages\":%ld,\"duration_us\":%.0f,\"bytes\":%.0f,\"p50_us\":%.1f,\"p99_us\":%.1f,\"errors\":%d,"
           "\"wrong\":%ld,\"deflated\":%d}\n",
           messages, took, (double)messages * option.size, percentile(0.5), percentile(0.99), lost_count, wrong,
           deflated_count);
    fflush(stdout);
    if (option.gate)
        wait_at_gate();
    return 0;
}
