/*
 * A small HTTP/1.1 client for load, on one thread: a closed loop of CLIENTS
 * connections, or an open loop of Poisson arrivals at RATE over as many
 * connections. In the open loop a request's time counts from its scheduled
 * arrival, so that neither a slow daemon nor a slow client can hide a queue;
 * the client's own lateness is told beside it. Prints one JSON line.
 *
 *   load -p PORT -u PATH -f BODIES -c CLIENTS -d SECONDS [-r RATE] [-k CPU] [-n]
 *     -f   one JSON body a line, taken in turn     -k   pin to this core, real-time if allowed
 *     -n   a new connection for every request
 * It speaks to 127.0.0.1 only, and understands answers with a Content-Length.
 */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { HEAD_MAX = 8192, EVENTS_MAX = 256, CLASSES = 6, STATUS_MAX = 600 };
#define ANSWER_S 60.0 /* longer: given up */

enum state { CLOSED, CONNECTING, WRITING, READING, IDLE };

struct request {
    char *bytes;
    size_t len;
};

struct client {
    struct client *next_free;
    int fd;
    enum state state;
    double due, sent; /* seconds: the scheduled arrival, and when it was begun */
    const struct request *request;
    size_t written, head_len;
    long left; /* of the body; -1: the head is not complete */
    int status;
    bool retry_after, closes;
    char head[HEAD_MAX + 1];
};

struct times {
    double *s;
    size_t n, capacity;
};

static struct request *requests;
static size_t n_requests, next_request;
static struct client *clients, *free_clients;
static size_t n_clients = 1, n_busy;
static int port, epoll_fd;
static bool reconnects;
static struct times by_class[CLASSES], lateness;
static long by_status[STATUS_MAX], n_retry_after, n_lost, n_refused, n_late;

static double now_s(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static void die(const char *what)
{
    perror(what);
    exit(2);
}

static void *must(void *memory)
{
    if (memory == NULL)
        die("memory");
    return memory;
}

static void note(struct times *times, double s)
{
    if (times->n == times->capacity) {
        times->capacity = times->capacity * 2 + 4096;
        times->s = must(realloc(times->s, times->capacity * sizeof(double)));
    }
    times->s[times->n++] = s;
}

static void read_bodies(const char *name, const char *path)
{
    FILE *file = fopen(name, "r");
    char *line = NULL;
    size_t capacity = 0;
    ssize_t len;

    if (file == NULL)
        die(name);
    while ((len = getline(&line, &capacity, file)) > 1) {
        size_t size = (size_t)len + strlen(path) + 256;
        struct request request = {must(malloc(size)), 0};

        line[--len] = '\0';
        request.len = (size_t)snprintf(request.bytes, size,
                                       "POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                                       "%sContent-Length: %zd\r\n\r\n%s",
                                       path, reconnects ? "Connection: close\r\n" : "", len, line);
        requests = must(realloc(requests, (n_requests + 1) * sizeof(*requests)));
        requests[n_requests++] = request;
    }
    free(line);
    fclose(file);
    if (n_requests == 0)
        die("no bodies");
}

static void watch(struct client *client, int operation, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = client};

    epoll_ctl(epoll_fd, operation, client->fd, &event);
}

static void hang_up(struct client *client)
{
    if (client->fd >= 0)
        close(client->fd);
    client->fd = -1;
    client->state = CLOSED;
}

/* The client is free for another request; its connection stays when it may. */
static void release(struct client *client)
{
    if (client->state != CLOSED)
        client->state = IDLE;
    client->next_free = free_clients;
    free_clients = client;
    n_busy--;
}

static void give_up(struct client *client, long *counter)
{
    ++*counter;
    hang_up(client);
    release(client);
}

static void push(struct client *client)
{
    while (client->written < client->request->len) {
        ssize_t n = send(client->fd, client->request->bytes + client->written,
                         client->request->len - client->written, MSG_NOSIGNAL);

        if (n < 0 && errno == EAGAIN) {
            watch(client, EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT);
            client->state = WRITING;
            return;
        }
        if (n < 0) {
            give_up(client, &n_lost);
            return;
        }
        client->written += (size_t)n;
    }
    if (client->state == WRITING || client->state == CONNECTING)
        watch(client, EPOLL_CTL_MOD, EPOLLIN);
    client->state = READING;
}

static void begin(struct client *client, double due)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int one = 1;

    client->request = &requests[next_request++ % n_requests];
    client->written = client->head_len = 0;
    client->left = -1;
    client->due = due;
    client->sent = now_s();
    n_busy++;
    if (client->state == IDLE) {
        push(client);
        return;
    }
    client->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (client->fd < 0)
        die("socket");
    setsockopt(client->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    client->state = CONNECTING;
    if (connect(client->fd, (struct sockaddr *)&address, sizeof(address)) != 0 && errno != EINPROGRESS)
        give_up(client, &n_refused);
    else
        watch(client, EPOLL_CTL_ADD, EPOLLOUT);
}

/* Header lines of interest; false: malformed. */
static bool read_head(struct client *client)
{
    char *end = strstr(client->head, "\r\n\r\n");
    size_t rest;

    if (strncmp(client->head, "HTTP/1.1 ", 9) != 0)
        return false;
    client->status = (int)strtol(client->head + 9, NULL, 10);
    client->left = 0;
    client->retry_after = client->closes = false;
    for (char *line = strstr(client->head, "\r\n") + 2; line < end + 2; line = strstr(line, "\r\n") + 2) {
        if (strncasecmp(line, "content-length:", 15) == 0)
            client->left = strtol(line + 15, NULL, 10);
        else if (strncasecmp(line, "retry-after:", 12) == 0)
            client->retry_after = true;
        else if (strncasecmp(line, "connection: close", 17) == 0)
            client->closes = true;
    }
    rest = client->head_len - (size_t)(end + 4 - client->head);
    client->left -= (long)rest;
    return client->status >= 100 && client->status < STATUS_MAX && client->left >= 0;
}

static void finish(struct client *client)
{
    by_status[client->status]++;
    note(&by_class[client->status / 100], now_s() - client->due);
    note(&lateness, client->sent - client->due);
    n_retry_after += client->retry_after;
    if (client->closes || reconnects)
        hang_up(client);
    release(client);
}

static void pull(struct client *client)
{
    static char waste[65536];

    while (client->state == READING) {
        bool in_head = client->left < 0;
        ssize_t n = in_head ? recv(client->fd, client->head + client->head_len, HEAD_MAX - client->head_len, 0)
                            : recv(client->fd, waste, sizeof(waste), 0);

        if (n < 0 && errno == EAGAIN)
            return;
        if (n <= 0) {
            give_up(client, &n_lost);
            return;
        }
        if (in_head) {
            client->head_len += (size_t)n;
            client->head[client->head_len] = '\0';
            if (strstr(client->head, "\r\n\r\n") == NULL)
                continue;
            if (!read_head(client)) {
                give_up(client, &n_lost);
                return;
            }
        } else {
            client->left -= n;
        }
        if (client->left <= 0)
            finish(client);
    }
}

static void handle(const struct epoll_event *event)
{
    struct client *client = event->data.ptr;
    socklen_t len = sizeof(int);
    int error = 0;

    if (client->state == CLOSED)
        return;
    if (client->state == IDLE) {
        hang_up(client); /* it stays in the list of free ones */
    } else if (client->state == CONNECTING) {
        getsockopt(client->fd, SOL_SOCKET, SO_ERROR, &error, &len);
        if (error != 0)
            give_up(client, &n_refused);
        else
            push(client);
    } else {
        if (client->state == WRITING && (event->events & EPOLLOUT) != 0)
            push(client);
        if (client->state == READING)
            pull(client);
    }
}

static void end_late(double now)
{
    for (size_t i = 0; i < n_clients; i++)
        if (clients[i].state != CLOSED && clients[i].state != IDLE && now - clients[i].sent > ANSWER_S)
            give_up(&clients[i], &n_late);
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static void print_times(const char *name, struct times *times)
{
    static const double shares[] = {0.5, 0.99, 1};
    static const char *const names[] = {"p50", "p99", "max"};

    qsort(times->s, times->n, sizeof(double), by_value);
    printf(",\"%s\":{\"n\":%zu", name, times->n);
    for (size_t i = 0; i < 3 && times->n > 0; i++) {
        size_t at = (size_t)ceil(shares[i] * (double)times->n);

        printf(",\"%s_ms\":%.3f", names[i], times->s[at > 0 ? at - 1 : 0] * 1e3);
    }
    printf("}");
}

/* Runs until the time is over; what is still on its way then is not counted. Returns what arrived. */
static size_t run(double seconds, double rate)
{
    double begun = now_s(), next = begun, checked = begun;
    size_t n_arrived = 0;

    for (;;) {
        struct epoll_event events[EVENTS_MAX];
        double now = now_s();
        int n, wait_ms = 100;

        if (now - begun >= seconds)
            return n_arrived;
        while (free_clients != NULL && (rate <= 0 || next <= now)) {
            struct client *client = free_clients;

            free_clients = client->next_free;
            begin(client, rate > 0 ? next : now_s());
            next -= log(1 - drand48()) / (rate > 0 ? rate : 1);
            n_arrived++;
            if (rate <= 0 && client->state == CLOSED)
                break; /* refused at once: do not spin */
        }
        if (rate > 0 && free_clients != NULL)
            wait_ms = next - now > 0.1 ? 100 : (int)((next - now) * 1e3);
        n = epoll_wait(epoll_fd, events, EVENTS_MAX, wait_ms);
        for (int i = 0; i < n; i++)
            handle(&events[i]);
        if (now - checked > 1) {
            end_late(now);
            checked = now;
        }
    }
}

static void pin(const char *cpu)
{
    struct sched_param priority = {.sched_priority = 1};
    cpu_set_t set;

    /* Where it may, so that the client's own waiting is not told as the daemon's. */
    (void)sched_setscheduler(0, SCHED_FIFO, &priority);
    CPU_ZERO(&set);
    CPU_SET((size_t)strtoul(cpu, NULL, 10), &set);
    if (sched_setaffinity(0, sizeof(set), &set) != 0)
        die("pinning");
}

static double cpu_s(void)
{
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1e-6;
}

int main(int argc, char **argv)
{
    const char *path = "/", *file = NULL;
    double seconds = 1, rate = 0, begun;
    size_t n_arrived;
    int option;

    while ((option = getopt(argc, argv, "p:u:f:c:d:r:k:n")) != -1) {
        switch (option) {
        case 'p': port = (int)strtol(optarg, NULL, 10); break;
        case 'u': path = optarg; break;
        case 'f': file = optarg; break;
        case 'c': n_clients = strtoul(optarg, NULL, 10); break;
        case 'd': seconds = strtod(optarg, NULL); break;
        case 'r': rate = strtod(optarg, NULL); break;
        case 'k': pin(optarg); break;
        case 'n': reconnects = true; break;
        default: return 2;
        }
    }
    if (file == NULL || n_clients == 0)
        return 2;
    read_bodies(file, path);
    srand48(1);
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    clients = must(calloc(n_clients, sizeof(*clients)));
    for (size_t i = 0; i < n_clients; i++) {
        clients[i].fd = -1;
        clients[i].next_free = free_clients;
        free_clients = &clients[i];
    }
    begun = now_s();
    n_arrived = run(seconds, rate);
    seconds = now_s() - begun;
    printf("{\"seconds\":%.3f,\"arrived\":%zu,\"busy\":%zu,\"lost\":%ld,\"refused\":%ld,\"late\":%ld,"
           "\"retry_after\":%ld,\"cpu\":%.3f,\"rps\":%.2f,\"status\":{",
           seconds, n_arrived, n_busy, n_lost, n_refused, n_late, n_retry_after, cpu_s() / seconds,
           (double)by_class[2].n / seconds);
    for (int i = 0, first = 1; i < STATUS_MAX; i++)
        if (by_status[i] > 0) {
            printf("%s\"%d\":%ld", first ? "" : ",", i, by_status[i]);
            first = 0;
        }
    printf("}");
    for (int i = 2; i < CLASSES; i++) {
        char name[] = "2xx";

        name[0] = (char)('0' + i);
        print_times(name, &by_class[i]);
    }
    print_times("lateness", &lateness);
    printf("}\n");
    return 0;
}
