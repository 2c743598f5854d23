/* The job table. */
#include "core/job_table.h"

#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "core/pb.h"

#define TABLE "job/"

void job_table_init(struct job_table *t)
{
    list_init(&t->alive);
    list_init(&t->dead);
}

static void entry_free(struct job_table *t, struct job_entry *entry)
{
    HASH_DEL(t->table, entry);
    HASH_DEL_HH(by_token, t->by_token, entry);
    list_del(&entry->link);
    pb_free(&entry->row->base);
    mem_free(entry);
}

void job_table_fini(struct job_table *t)
{
    struct job_entry *entry, *next;

    HASH_FOREACH (t->table, entry, next)
        entry_free(t, entry);
}

struct job_entry *job_table_find(struct job_table *t, const struct job_id *id)
{
    return HASH_GET(t->table, id, id);
}

struct job_entry *job_table_of_submission(struct job_table *t, const char *submission_id)
{
    struct job_entry *entry, *next, *newest = NULL;

    HASH_FOREACH (t->table, entry, next) {
        if (strcmp(entry->row->job->submission_id, submission_id) == 0)
            newest = entry;
    }
    return newest;
}

/* Takes the row over, on failure too. */
static struct job_entry *entry_add(struct job_table *t, Raia__Storage__JobRow *row)
{
    struct job_entry *entry = mem_new(struct job_entry);
    bool dead = row->job->dead;

    if (!entry)
        goto fail;
    memcpy(entry->id.bytes, row->job->job_id.data, JOB_ID_SIZE);
    memcpy(entry->token, row->token.data, JOB_TOKEN_SIZE);
    if (HASH_PUT(t->table, id, entry) < 0)
        goto fail;
    if (HASH_PUT_HH(by_token, t->by_token, token, entry) < 0) {
        HASH_DEL(t->table, entry);
        goto fail;
    }
    entry->row = row;
    list_add_tail(dead ? &t->dead : &t->alive, &entry->link);
    *(dead ? &t->n_dead : &t->n_alive) += 1;
    return entry;
fail:
    pb_free(&row->base);
    mem_free(entry);
    return NULL;
}

int job_table_load(struct job_table *t, Raia__Storage__JobRow *row)
{
    struct job_id id;

    if (!row->job || job_id_from_bytes(row->job->job_id.data, row->job->job_id.len, &id) < 0 ||
        row->token.len != JOB_TOKEN_SIZE || job_table_find(t, &id)) {
        pb_free(&row->base);
        return -RAIA_ERR_PROTOCOL;
    }
    return entry_add(t, row) ? 0 : -RAIA_ERR_NOMEM;
}

static void entry_commit(struct job_entry *entry, struct commit *c)
{
    commit_put_message(c, TABLE, entry->id.bytes, JOB_ID_SIZE, &entry->row->base);
    commit_publish(c, RAIA__GCS__CHANNEL__CHANNEL_JOB, entry->id.bytes, JOB_ID_SIZE,
                   pb_copy(&entry->row->job->base));
}

static int row_new(const Raia__Gcs__Job *job, ProtobufCBinaryData token, uint32_t number,
                   Raia__Storage__JobRow **ret_row)
{
    Raia__Storage__JobRow plain = RAIA__STORAGE__JOB_ROW__INIT, *row;
    uint8_t id[JOB_ID_SIZE] = {(uint8_t)(number >> 24), (uint8_t)(number >> 16),
                               (uint8_t)(number >> 8), (uint8_t)number};

    plain.job = (Raia__Gcs__Job *)(uintptr_t)job;
    plain.token = token;
    row = pb_copy(&plain.base);
    if (!row)
        return -RAIA_ERR_NOMEM;
    if (pb_set_bytes(&row->job->job_id, id, sizeof id) < 0) {
        pb_free(&row->base);
        return -RAIA_ERR_NOMEM;
    }
    *ret_row = row;
    return 0;
}

int job_table_add(struct job_table *t, struct gcs_now now, const Raia__Gcs__Job *job,
                  ProtobufCBinaryData token, uint32_t number, struct commit *c,
                  struct job_entry **ret_entry, bool *ret_new, struct raia_error *e)
{
    uint8_t key[JOB_TOKEN_SIZE];
    struct job_entry *entry;
    Raia__Storage__JobRow *row;

    if (!job || token.len != JOB_TOKEN_SIZE)
        return err_set(e, RAIA_ERR_INVALID, "add job: needs a job and a token of %d bytes",
                       JOB_TOKEN_SIZE);
    memcpy(key, token.data, sizeof key);
    entry = HASH_GET_HH(by_token, t->by_token, token, &key);
    if (entry) {
        *ret_entry = entry;
        *ret_new = false;
        return 0;
    }
    if (t->n_alive >= t->max_alive)
        return err_set(e, RAIA_ERR_LIMIT, "add job: %zu jobs run, the most allowed", t->n_alive);
    if (row_new(job, token, number, &row) < 0)
        return err_set(e, RAIA_ERR_NOMEM, "add job");
    row->job->start_unix_ms = now.unix_ms;
    row->job->end_unix_ms = 0;
    row->job->dead = false;
    entry = entry_add(t, row);
    if (!entry)
        return err_set(e, RAIA_ERR_NOMEM, "add job");
    entry_commit(entry, c);
    *ret_entry = entry;
    *ret_new = true;
    return 0;
}

void job_table_say_ended(const struct job_id *id, const struct node_id *node, struct commit *c)
{
    Raia__Gcs__SessionDown down = RAIA__GCS__SESSION_DOWN__INIT;
    Raia__Gcs__JobEnded ended = RAIA__GCS__JOB_ENDED__INIT;

    ended.job_id = PB_BYTES(id->bytes);
    down.body_case = RAIA__GCS__SESSION_DOWN__BODY_JOB_ENDED;
    down.job_ended = &ended;
    commit_send(c, node, &down);
}

void job_table_finish(struct job_table *t, struct gcs_now now, struct job_entry *entry,
                      struct commit *c)
{
    if (entry->row->job->dead)
        return;
    entry->row->job->dead = true;
    entry->row->job->end_unix_ms = now.unix_ms;
    list_del(&entry->link);
    t->n_alive--;
    list_add_tail(&t->dead, &entry->link);
    t->n_dead++;
    entry_commit(entry, c);
    job_table_say_ended(&entry->id, NULL, c);
    while (t->n_dead > t->max_dead && t->n_dead > 1) {
        struct job_entry *oldest = container_of(t->dead.next, struct job_entry, link);

        commit_delete(c, TABLE, oldest->id.bytes, JOB_ID_SIZE);
        entry_free(t, oldest);
        t->n_dead--;
    }
}
