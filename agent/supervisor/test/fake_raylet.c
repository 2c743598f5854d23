/*
 * Stands where the raylet stands, for test_supervisor.c: joins descriptor 3 to the unix socket that
 * FAKE_RAYLET_SOCKET names, packet by packet, so that the test itself plays the raylet.
 */
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int main(void)
{
    static char buf[1 << 18];
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    const char *path = getenv("FAKE_RAYLET_SOCKET");
    if (!path || strlen(path) >= sizeof a.sun_path)
        return 2;
    memcpy(a.sun_path, path, strlen(path) + 1);
    int fds[2] = {3, socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0)};
    if (connect(fds[1], (struct sockaddr *)&a, sizeof a) < 0)
        return 1;
    for (;;) {
        struct pollfd p[2] = {{.fd = fds[0], .events = POLLIN}, {.fd = fds[1], .events = POLLIN}};
        if (poll(p, 2, -1) < 0)
            return 1;
        for (int i = 0; i < 2; i++) {
            if (!p[i].revents)
                continue;
            ssize_t n = recv(fds[i], buf, sizeof buf, 0);
            if (n <= 0 || send(fds[!i], buf, (size_t)n, 0) != n)
                return 0;
        }
    }
}
