/*
 * Ray's job API, as a RayJob uses it: what is asked of the head, and what its answers mean.
 *
 * A tag is the kind of request and the attempt it is for, so that an answer that comes late is told
 * from one that is meant. Every request may be made twice: a submission by its id, the others by
 * nature.
 */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/hash64.h"
#include "core/rayjob_impl.h"
#include "core/rayjob_plants.h"

#define ASK_MS    5000  /* for an answer */
#define WAIT_MS   25000 /* that the head may wait for news */
#define SUBMIT_MS 30000 /* for the answer to a submission */
#define STOPS_MAX 5     /* requests to stop, then it is left */
#define WAITS_MAX 48    /* requests that wait: of the 64 that the controller has under way */
#define PACE      20    /* requests each second of those who find no place among them */

enum { POLL = 1, PROBE, SUBMIT, STOP };

#define ATTEMPT_MASK (~UINT64_C(0xff))

void rayjob_memory_clear(struct rayjobs *all, struct rayjob_memory *m)
{
    all->waiting -= m->waiting;
    all->polled -= m->counted;
    *m = (struct rayjob_memory){0};
}

void rayjob_memory_of(struct rayjob_pass *x, void **memory)
{
    struct rayjob_memory *m = *memory;
    char names[2 * RAYJOB_ID_MAX + 64];
    uint64_t attempt;
    int n;

    n = snprintf(names, sizeof names, "%s\n%s\n%s\n%s", x->job->uid, rayjob_get(x, "jobId"),
                 rayjob_get(x, "rayClusterName"), rayjob_get(x, "startTime"));
    attempt = hash_bytes(names, n < (int)sizeof names ? (size_t)n : sizeof names - 1);
    attempt &= ATTEMPT_MASK;
    if (!m && !(m = *memory = mem_new(struct rayjob_memory))) {
        x->r = err_set(x->e, RAIA_ERR_NOMEM, "RayJob '%s'", x->job->name);
        return;
    }
    if (m->attempt != attempt && !RAYJOB_PLANTED(RAYJOB_PLANT_OLD_ANSWER))
        rayjob_memory_clear(x->all, m);
    m->attempt = attempt;
    x->m = m;
}

/* -- requests ----------------------------------------------------------------------------------- */

static char *escape(const char *text)
{
    static const char hex[] = "0123456789ABCDEF";
    char *out = mem_alloc(3 * strlen(text) + 1), *p = out;

    for (; out && *text; text++) {
        unsigned char c = (unsigned char)*text;

        if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
            strchr("-_.~", c)) {
            *p++ = (char)c;
        } else {
            *p++ = '%';
            *p++ = hex[c >> 4];
            *p++ = hex[c & 15];
        }
    }
    if (out)
        *p = '\0';
    return out;
}

/* One request to the head; tail and query may be "". */
static void call(struct rayjob_pass *x, unsigned kind, const char *method, const char *tail,
                 const char *body, int timeout_ms)
{
    const char *address = rayjob_get(x, "dashboardURL");
    _cleanup_(mem_freep) char *id = escape(kind == SUBMIT ? "" : rayjob_get(x, "jobId"));
    _cleanup_(mem_freep) char *url =
        id ? mem_printf("http://%s/api/jobs/%s%s", address, id, tail) : NULL;
    const char *secret = x->view ? rayjob_token_secret(x, x->view) : NULL;

    if (x->r < 0)
        return;
    x->r = url ? plan_call(x->p, 0, x->m->attempt | kind, x->job->ns, method, url, body, secret,
                           timeout_ms)
               : -RAIA_ERR_NOMEM;
    if (x->r < 0)
        (void)err_set(x->e, RAIA_ERR_NOMEM, "RayJob '%s': a request", x->job->name);
}

static bool can_ask(const struct rayjob_pass *x)
{
    return *rayjob_get(x, "dashboardURL") && *rayjob_get(x, "jobId") && x->view;
}

void rayjob_poll(struct rayjob_pass *x)
{
    struct rayjob_memory *m = x->m;
    const char *known = m->found == RAYJOB_FOUND ? m->status : "";
    int64_t now = x->s->now, due = now, pace;
    bool wait;
    char query[64] = "";

    if (!can_ask(x))
        return;
    x->all->polled += !m->counted;
    m->counted = true;
    wait = m->waiting || x->all->waiting < WAITS_MAX;
    /* Heads wait for jobs that they do not know, too. Whom we are to submit ourselves nobody else will,
     * and who was known before us is there, or lost: those answers must not wait for that. */
    if (m->found != RAYJOB_FOUND && (x->job->mode == RAY_JOB_HTTP ||
                                     (m->found != RAYJOB_ABSENT && *rayjob_get(x, "jobStatus"))))
        wait = false;
    pace = x->all->polled * CLOCK_NS_PER_S / PACE;
    if (m->polled_at)
        due = m->polled_at + (wait || pace < RAYJOB_POLL_NS ? RAYJOB_POLL_NS : pace);
    /* News since the last request: the next one at once. */
    if ((m->found == RAYJOB_FOUND || m->found == RAYJOB_ABSENT) && strcmp(m->polled, known) != 0)
        due = now;
    if (m->polling)
        due = m->polled_at + (WAIT_MS + ASK_MS + 1000) * CLOCK_NS_PER_MS;
    if (now < due) {
        plan_again(x->p, due);
        return;
    }
    if (wait)
        (void)snprintf(query, sizeof query, "?wait_ms=%d&known_status=%s", WAIT_MS, known);
    call(x, POLL, "GET", query, NULL, wait ? WAIT_MS + ASK_MS : ASK_MS);
    x->all->waiting += wait && !m->waiting;
    m->waiting = wait;
    m->polling = true;
    m->polled_at = now;
    (void)snprintf(m->polled, sizeof m->polled, "%s", known);
    plan_again(x->p, now + (WAIT_MS + ASK_MS + 1000) * CLOCK_NS_PER_MS);
}

void rayjob_probe(struct rayjob_pass *x)
{
    struct rayjob_memory *m = x->m;
    int64_t due = m->probed_at ? m->probed_at + RAYJOB_POLL_NS : x->s->now;

    if (!can_ask(x))
        return;
    if (x->s->now >= due) {
        call(x, PROBE, "GET", "", NULL, ASK_MS);
        m->probed_at = x->s->now;
        due = x->s->now + RAYJOB_POLL_NS;
    }
    plan_again(x->p, due);
}

char *rayjob_submission(const struct ray_job *job, const char *id)
{
    _cleanup_(json_freep) struct json *b = json_new_object();
    int r = json_set_str(b, "entrypoint", job->entrypoint);

    if (r == 0)
        r = json_set_str(b, "submission_id", id);
    if (r == 0 && job->metadata)
        r = json_set(b, "metadata", json_copy(job->metadata));
    if (r == 0 && job->runtime_env)
        r = json_set(b, "runtime_env", json_copy(job->runtime_env));
    if (r == 0 && job->num_cpus > 0)
        r = json_set_double(b, "entrypoint_num_cpus", job->num_cpus);
    if (r == 0 && job->num_gpus > 0)
        r = json_set_double(b, "entrypoint_num_gpus", job->num_gpus);
    if (r == 0 && job->resources)
        r = json_set(b, "entrypoint_resources", json_copy(job->resources));
    return r == 0 ? json_print(b, JSON_COMPACT, NULL) : NULL;
}

void rayjob_submit(struct rayjob_pass *x)
{
    struct rayjob_memory *m = x->m;
    int64_t wait = m->submitting ? (SUBMIT_MS + 1000) * CLOCK_NS_PER_MS : RAYJOB_POLL_NS;
    int64_t due = m->submitted_at ? m->submitted_at + wait : x->s->now;

    if (!can_ask(x))
        return;
    if (x->s->now < due) {
        plan_again(x->p, due);
        return;
    }
    const char *id = RAYJOB_PLANTED(RAYJOB_PLANT_TWO_IDS) && m->submitted_at
                         ? "another"
                         : rayjob_get(x, "jobId");
    _cleanup_(mem_freep) char *body = rayjob_submission(x->job, id);
    if (!body) {
        x->r = err_set(x->e, RAIA_ERR_NOMEM, "RayJob '%s': a submission", x->job->name);
        return;
    }
    call(x, SUBMIT, "POST", "", body, SUBMIT_MS);
    m->submitting = true;
    m->submitted_at = x->s->now;
    plan_again(x->p, x->s->now + (SUBMIT_MS + 1000) * CLOCK_NS_PER_MS);
}

bool rayjob_stop(struct rayjob_pass *x)
{
    struct rayjob_memory *m = x->m;
    int64_t due = m->stopped_at ? m->stopped_at + RAYJOB_POLL_NS : x->s->now;

    if (m->stopped || m->stops >= STOPS_MAX || !can_ask(x))
        return true;
    if (x->s->now >= due) {
        call(x, STOP, "POST", "/stop", NULL, ASK_MS);
        m->stopped_at = x->s->now;
        m->stops++;
        due = x->s->now + RAYJOB_POLL_NS;
    }
    plan_again(x->p, due);
    return false;
}

/* -- answers ------------------------------------------------------------------------------------- */

static void silent(struct rayjob_memory *m, const struct plan_answer *a)
{
    m->found = RAYJOB_UNREACHABLE;
    m->absent_since = 0;
    if (!m->silent_since)
        m->silent_since = a->now;
    if (a->http_status)
        (void)snprintf(m->message, sizeof m->message, "HTTP status %d: %.200s", a->http_status,
                       a->body ? a->body : "");
    else
        (void)snprintf(m->message, sizeof m->message, "%s", a->error ? a->error : "no answer");
}

static void on_details(struct rayjob_memory *m, const struct plan_answer *a)
{
    _cleanup_(json_freep) struct json *root = NULL;
    const char *status = NULL, *message = NULL;
    int64_t start = 0, end = 0;

    if (m->found == RAYJOB_FOUND && rayjob_status_ended(m->status))
        return; /* what is over stays so, whoever forgets it, and whichever answer is late */
    m->found_at = a->now;
    if (a->http_status == 404) {
        m->found = RAYJOB_ABSENT;
        m->silent_since = 0;
        if (!m->absent_since)
            m->absent_since = a->now;
        return;
    }
    if (a->http_status != 200 || json_parse(a->body, a->body_len, NULL, &root, NULL) < 0 ||
        !(status = json_str(json_get(root, "status"))) ||
        !(rayjob_status_ended(status) || !strcmp(status, "PENDING") ||
          !strcmp(status, "RUNNING"))) {
        silent(m, a);
        return;
    }
    message = json_str(json_get(root, "message"));
    (void)json_int(json_get(root, "start_time"), &start);
    (void)json_int(json_get(root, "end_time"), &end);
    m->found = RAYJOB_FOUND;
    m->silent_since = m->absent_since = 0;
    (void)snprintf(m->status, sizeof m->status, "%s", status);
    (void)snprintf(m->message, sizeof m->message, "%s", message ? message : "");
    for (size_t n = strlen(m->message); n && strchr(" \n", m->message[n - 1]); n--)
        m->message[n - 1] = '\0';
    m->start_ms = start;
    m->end_ms = end;
}

static void on_submitted(struct rayjob_memory *m, const struct plan_answer *a)
{
    bool exists = a->body && strstr(a->body, "use a different submission_id");

    m->submitting = false;
    if (a->http_status == 200 || exists) {
        /* Not ABSENT any more; what it is, the next request tells. */
        m->found = RAYJOB_UNASKED;
        m->absent_since = m->silent_since = m->polled_at = 0;
    } else if (a->http_status >= 400 && a->http_status < 500 && a->http_status != 401 &&
               a->http_status != 403 && a->http_status != 404 && a->http_status != 408 &&
               a->http_status != 429) {
        silent(m, a);
        m->refused = true;
    } else {
        silent(m, a);
    }
}

void rayjob_answered(struct reconciler *r, void **memory, const struct plan_answer *a)
{
    struct rayjobs *all = (struct rayjobs *)r;
    struct rayjob_memory *m = *memory;

    if (!m || ((a->tag & ATTEMPT_MASK) != m->attempt && !RAYJOB_PLANTED(RAYJOB_PLANT_OLD_ANSWER)))
        return; /* of an attempt that is over */
    switch (a->tag & ~ATTEMPT_MASK) {
    case POLL:
        m->polling = false;
        all->waiting -= m->waiting;
        m->waiting = false;
        on_details(m, a);
        break;
    case PROBE:
        on_details(m, a);
        break;
    case SUBMIT:
        on_submitted(m, a);
        break;
    case STOP:
        m->stopped |= a->http_status == 200 || a->http_status == 404 || a->http_status == 400;
        break;
    }
}
