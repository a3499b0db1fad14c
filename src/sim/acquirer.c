/* SPDX-License-Identifier: Apache-2.0 */
/* doorpay-sim acquirer: the acquirer's host with books, faults and a settlement file. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <openssl/ssl.h>

#include "base/log.h"
#include "serve.h"
#include "sim.h"
#include "text.h"

#define COMMAND_MAX 1024

static const char usage[] =
    "usage: doorpay-sim acquirer --keys DIR --port N --books FILE [options]\n"
    "       doorpay-sim acquirer-control SOCKET COMMAND...\n\n"
    "Answers terminals on 127.0.0.1 (TLS with client certificates) until SIGTERM.\n"
    "  --port N            0: any free one\n"
    "  --books FILE        SQLite; kept when it is there\n"
    "  --settlement FILE   CSV, written on the command settle and at the end\n"
    "  --control SOCKET    where commands are taken (docs/sim.md)\n"
    "  --traffic FILE      every frame in hex, test card data in clear\n"
    "  --ready-file FILE   holds the port as soon as it listens\n"
    "  --mac-len 8|16      (8)\n"
    "  --tls 1.2|1.3       this version alone (both)\n"
    "  --certificate PEM, --key PEM   of the server, instead of tls-server.pem and .key\n"
    "  --json              the first line as JSON\n"
    "  --verbose           tell of every message on standard error\n";

struct options {
    struct sim_serve_config serve;
    uint64_t port, mac_n;
    bool has_port, verbose;
};

static const struct option longs[] = {{"keys", required_argument, NULL, 'k'},
                                      {"port", required_argument, NULL, 'p'},
                                      {"books", required_argument, NULL, 'b'},
                                      {"settlement", required_argument, NULL, 's'},
                                      {"control", required_argument, NULL, 'c'},
                                      {"traffic", required_argument, NULL, 't'},
                                      {"ready-file", required_argument, NULL, 'r'},
                                      {"mac-len", required_argument, NULL, 'm'},
                                      {"tls", required_argument, NULL, 'T'},
                                      {"certificate", required_argument, NULL, 'C'},
                                      {"key", required_argument, NULL, 'K'},
                                      {"json", no_argument, NULL, 'j'},
                                      {"verbose", no_argument, NULL, 'v'},
                                      {"help", no_argument, NULL, 'h'},
                                      {NULL, 0, NULL, 0}};

static int take_option(struct options *o, int c)
{
    const char **texts[] = {
        ['k'] = &o->serve.keys,        ['b'] = &o->serve.books,   ['s'] = &o->serve.settlement,
        ['c'] = &o->serve.control,     ['t'] = &o->serve.traffic, ['r'] = &o->serve.ready_file,
        ['C'] = &o->serve.certificate, ['K'] = &o->serve.key};
    if (c == 'h') {
        (void)fputs(usage, stdout);
        exit(SIM_DONE);
    }
    if (c == 'j') {
        o->serve.json = true;
    } else if (c == 'v') {
        o->verbose = true;
    } else if (c == 'T') {
        o->serve.tls = strcmp(optarg, "1.2") == 0   ? TLS1_2_VERSION
                       : strcmp(optarg, "1.3") == 0 ? TLS1_3_VERSION
                                                    : 0;
        return o->serve.tls != 0 ? DP_OK : DP_ERR_RANGE;
    } else if (c == 'p') {
        o->has_port = true;
        return sim_text_uint(optarg, 65535, &o->port);
    } else if (c == 'm') {
        int err = sim_text_uint(optarg, 16, &o->mac_n);
        return err == DP_OK && o->mac_n != 8 && o->mac_n != 16 ? DP_ERR_RANGE : err;
    } else if (c > 0 && c < (int)(sizeof texts / sizeof *texts) && texts[c] != NULL) {
        *texts[c] = optarg;
    } else {
        return DP_ERR_ARG;
    }
    return DP_OK;
}

int sim_acquirer(int argc, char **argv)
{
    struct options o = {.serve = {.certificate = "", .key = ""}, .mac_n = 8};
    static struct sim_host host;
    int c, err = DP_OK;
    while (err == DP_OK && (c = getopt_long(argc, argv, "", longs, NULL)) != -1)
        err = take_option(&o, c);
    if (err != DP_OK || optind < argc || o.serve.keys == NULL || o.serve.books == NULL ||
        !o.has_port) {
        (void)fputs(usage, stderr);
        return SIM_USAGE;
    }
    dp_log_set(NULL, NULL, o.verbose ? DP_LOG_INFO : DP_LOG_WARNING);
    o.serve.port = (uint16_t)o.port;
    host.mac_n = (size_t)o.mac_n;
    err = sim_host_open(&host, o.serve.keys, o.serve.books);
    if (err == DP_OK)
        err = sim_serve(&host, &o.serve);
    sim_host_close(&host);
    return err == DP_OK ? SIM_DONE : SIM_FAILED;
}

/* ---- the client of the control socket ---- */

static int connect_to(const char *path)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int fd;
    if (strlen(path) >= sizeof a.sun_path)
        return -1;
    memcpy(a.sun_path, path, strlen(path));
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (const struct sockaddr *)&a, sizeof a) != 0) {
        (void)close(fd);
        fd = -1;
    }
    return fd;
}

/* One line to the socket and one back. */
static int tell(int fd, const char *line, char *answer, size_t max)
{
    size_t n = 0;
    if (send(fd, line, strlen(line), MSG_NOSIGNAL) != (ssize_t)strlen(line))
        return DP_ERR_IO;
    while (n < max - 1) {
        ssize_t got = recv(fd, answer + n, max - 1 - n, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return DP_ERR_GONE;
        n += (size_t)got;
        answer[n] = '\0';
        if (answer[n - 1] == '\n')
            return DP_OK;
    }
    return DP_ERR_LIMIT;
}

int sim_acquirer_control(int argc, char **argv)
{
    char line[COMMAND_MAX], answer[4096];
    size_t n = 0;
    int fd, err;
    if (argc < 3) {
        (void)fputs(usage, stderr);
        return SIM_USAGE;
    }
    for (int i = 2; i < argc && n < sizeof line; i++)
        n +=
            (size_t)snprintf(line + n, sizeof line - n, "%s%c", argv[i], i + 1 < argc ? ' ' : '\n');
    fd = n < sizeof line ? connect_to(argv[1]) : -1;
    if (fd < 0) {
        dp_log(DP_LOG_ERROR, "%s: no acquirer listens there", argv[1]);
        return SIM_FAILED;
    }
    err = tell(fd, line, answer, sizeof answer);
    (void)close(fd);
    if (err != DP_OK) {
        dp_log(DP_LOG_ERROR, "%s: %s", argv[1], dp_strerr(err));
        return SIM_FAILED;
    }
    (void)fputs(answer, stdout);
    return strncmp(answer, "{\"ok\":true", 10) == 0 ? SIM_DONE : SIM_FAILED;
}
