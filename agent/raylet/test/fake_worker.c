/*
 * A worker for tests: registers, echoes what its peers (rings and channels) say, prints what it is
 * told, blocks when told, and leaves when told. Its first argument must be "--worker".
 *
 * Records from peers: 1 echo; 2 print the payload as a line; 3 die by SIGKILL; 4 say BLOCKED;
 * 5 say UNBLOCKED (4, 5: then echo).
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client.h"
#include "raia/error.h"

static void act(struct client *c, const struct record_head *h, const uint8_t *data, size_t size)
{
    switch (h->type) {
    case 2:
        printf("%.*s\n", (int)size, (const char *)data);
        fflush(stdout);
        break;
    case 3:
        kill(getpid(), SIGKILL);
        break;
    case 4:
    case 5:
        client_send(c, h->type == 4 ? REC_BLOCKED : REC_UNBLOCKED, 0, NULL, 0);
        break;
    default:
        break;
    }
}

/* Credit left on each channel; their numbers are beyond those of the pairs. */
static int64_t credit[64];

static void take_credit(struct client *c)
{
    struct rec_channel ch;
    struct rec_credit more;
    struct record_head h;

    while (client_wait(c, REC_CHANNEL_OPENED, 0, &h, &ch, sizeof ch, NULL) == 0)
        credit[ch.channel % 64] = (int64_t)ch.credit;
    while (client_wait(c, REC_CHANNEL_CREDIT, 0, &h, &more, sizeof more, NULL) == 0)
        credit[h.tag % 64] += (int64_t)more.bytes;
}

static void serve_channels(struct client *c)
{
    static uint8_t data[RECORD_PAYLOAD_MAX];
    struct record_head h;
    size_t size;

    while (client_wait(c, REC_CHANNEL_DATA, 0, &h, data, sizeof data, &size) == 0) {
        struct record_head inner;
        memcpy(&inner, data, sizeof inner);
        act(c, &inner, data + sizeof inner, size - sizeof inner);
        take_credit(c);
        while (credit[h.tag % 64] < (int64_t)size && !c->broken) {
            client_wait(c, REC_EXIT, 10, NULL, NULL, 0, NULL);
            take_credit(c);
        }
        credit[h.tag % 64] -= (int64_t)size;
        client_send(c, REC_CHANNEL_DATA, h.tag, data, size);
    }
}

int main(int argc, char **argv)
{
    static uint8_t data[RECORD_PAYLOAD_MAX];
    const char *path = getenv("RAIA_RAYLET_SOCKET"), *token = getenv("RAIA_SPAWN_TOKEN");
    char text[512];
    struct client *c;

    if (argc < 2 || strcmp(argv[1], "--worker") || !path || !token)
        return 64;
    if (getenv("FAKE_FAIL"))
        return 3;
    c = client_connect(path, token, -1, NULL, 42, text, sizeof text);
    if (!c) {
        fprintf(stderr, "refused: %s\n", text);
        return 65;
    }
    while (!c->broken) {
        struct record_head h;
        size_t size;
        for (uint32_t i = 1; i < CLIENT_PEERS; i++)
            while (c->peer[i].used &&
                   client_peer_wait(c, i, 0, &h, data, sizeof data, &size) == 0) {
                act(c, &h, data, size);
                client_peer_send(c, i, h.type, h.tag, data, size);
            }
        serve_channels(c);
        if (client_wait(c, REC_EXIT, 20, &h, NULL, 0, NULL) == 0)
            return 0;
    }
    client_free(c);
    return 0;
}
