/*
 * Word count: how often each word occurs in all files under some folders.
 *
 *     wordcount [--output FILE] [--partitions N] [FOLDER ...]
 *
 * A word is a run of ASCII letters within one file, lower-cased; gzipped files are unpacked. The
 * files are dealt into batches of about 1 MiB; one task counts each batch and returns its counts in
 * N partitions (by a hash of the word); then one task for each partition adds up all batches'
 * counts of it; the driver takes the sums. So every batch's counts cross to where their partition
 * is summed: a shuffle. A batch whose worker or node dies is counted again.
 *
 * Standard output: the ten most frequent words, and what was read. --output writes all counts, as
 * "COUNT WORD" lines in byte order of the words.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <zlib.h>

#include <raia/raia.h>

#define BATCH_BYTES    (1u << 20) /* of files on disk, in one task */
#define BATCH_FILES    64         /* at most, in one task */
#define PARTITIONS     4          /* unless --partitions says otherwise */
#define PARTITIONS_MAX 64
#define TOP            10
#define RETRIES        20 /* for batches whose worker or node dies */

/* ---- a table of counts: open addressing, words in one growing block of text */

struct entry {
    uint64_t count;
    uint32_t hash;
    uint32_t length; /* bytes of the word */
    size_t offset;   /* of the word, in text */
};

struct table {
    struct entry *entries; /* capacity slots; count 0: free */
    size_t capacity;       /* a power of two, or 0 */
    size_t used;
    char *text;
    size_t text_size;
    size_t text_capacity;
};

static void table_free(struct table *t)
{
    free(t->entries);
    free(t->text);
}

static uint32_t hash_word(const char *word, size_t length)
{
    uint32_t h = 2166136261u; /* FNV-1a */
    for (size_t i = 0; i < length; i++)
        h = (h ^ (unsigned char)word[i]) * 16777619u;
    return h;
}

static int table_grow(struct table *t)
{
    size_t capacity = t->capacity ? t->capacity * 2 : 1024;
    struct entry *entries = calloc(capacity, sizeof *entries);
    if (!entries)
        return -1;
    for (size_t i = 0; i < t->capacity; i++) {
        if (!t->entries[i].count)
            continue;
        size_t at = t->entries[i].hash & (capacity - 1);
        while (entries[at].count)
            at = (at + 1) & (capacity - 1);
        entries[at] = t->entries[i];
    }
    free(t->entries);
    t->entries = entries;
    t->capacity = capacity;
    return 0;
}

static int table_add(struct table *t, const char *word, size_t length, uint64_t count)
{
    if (t->used * 4 >= t->capacity * 3 && table_grow(t) < 0)
        return -1;
    uint32_t h = hash_word(word, length);
    size_t at = h & (t->capacity - 1);
    struct entry *e;
    for (; (e = &t->entries[at])->count; at = (at + 1) & (t->capacity - 1)) {
        if (e->hash == h && e->length == length && !memcmp(t->text + e->offset, word, length)) {
            e->count += count;
            return 0;
        }
    }
    if (t->text_size + length > t->text_capacity) {
        size_t capacity = (t->text_size + length) * 2 + 4096;
        char *text = realloc(t->text, capacity);
        if (!text)
            return -1;
        t->text = text;
        t->text_capacity = capacity;
    }
    memcpy(t->text + t->text_size, word, length);
    *e = (struct entry){
        .count = count, .hash = h, .length = (uint32_t)length, .offset = t->text_size};
    t->text_size += length;
    t->used++;
    return 0;
}

/* ---- counts as bytes: {u64 count, u32 length, word} for each, in the machine's byte order */

#define RECORD_HEAD 12u

static size_t encoded_size(const struct table *t, uint32_t part, uint32_t parts)
{
    size_t size = 0;
    for (size_t i = 0; i < t->capacity; i++)
        if (t->entries[i].count && t->entries[i].hash % parts == part)
            size += RECORD_HEAD + t->entries[i].length;
    return size;
}

static void encode(const struct table *t, uint32_t part, uint32_t parts, char *to)
{
    for (size_t i = 0; i < t->capacity; i++) {
        const struct entry *e = &t->entries[i];
        if (!e->count || e->hash % parts != part)
            continue;
        memcpy(to, &e->count, 8);
        memcpy(to + 8, &e->length, 4);
        memcpy(to + RECORD_HEAD, t->text + e->offset, e->length);
        to += RECORD_HEAD + e->length;
    }
}

static int decode_into(struct table *t, const char *data, size_t size)
{
    while (size >= RECORD_HEAD) {
        uint64_t count;
        uint32_t length;
        memcpy(&count, data, 8);
        memcpy(&length, data + 8, 4);
        data += RECORD_HEAD;
        size -= RECORD_HEAD;
        if (length > size || !count || table_add(t, data, length, count) < 0)
            return -1;
        data += length;
        size -= length;
    }
    return size ? -1 : 0;
}

static int return_counts(raia_call *c, const struct table *t, uint32_t parts)
{
    for (uint32_t p = 0; p < parts; p++) {
        size_t size = encoded_size(t, p, parts);
        char *bytes = malloc(size ? size : 1);
        if (!bytes)
            return raia_fail(c, "out of memory for %zu bytes", size);
        encode(t, p, parts, bytes);
        int r = raia_return_at(c, p, raia_bytes(bytes, size));
        free(bytes);
        if (r < 0)
            return r;
    }
    return 0;
}

/* ---- tasks */

/* A word may be cut by the end of a buffer, never by more: `word` carries its beginning over. */
static int count_file(const char *path, struct table *t, uint64_t *bytes)
{
    gzFile f = gzopen(path, "rb"); /* reads plain files as they are */
    if (!f)
        return -1;
    size_t capacity = 1 << 12, length = 0;
    char *word = malloc(capacity);
    static _Thread_local char buffer[1 << 16];
    int n = 0, r = word ? 0 : -1;
    while (r == 0 && (n = gzread(f, buffer, sizeof buffer)) > 0) {
        *bytes += (uint64_t)n;
        for (int i = 0; r == 0 && i < n; i++) {
            char ch = buffer[i] | 0x20;
            if (ch >= 'a' && ch <= 'z' && buffer[i] >= 'A') {
                if (length == capacity) {
                    char *more = realloc(word, capacity *= 2);
                    if (!more) {
                        r = -1;
                        break;
                    }
                    word = more;
                }
                word[length++] = ch;
            } else if (length) {
                r = table_add(t, word, length, 1);
                length = 0;
            }
        }
    }
    if (r == 0 && length)
        r = table_add(t, word, length, 1);
    if (n < 0)
        r = -1;
    free(word);
    gzclose(f);
    return r;
}

/* count_words(partitions, paths ended by zero bytes): one value for each partition, then the bytes
 * read. */
static int count_words(raia_call *c)
{
    int64_t parts;
    size_t size;
    const char *paths = raia_arg_bytes(c, 1, &size);
    if (raia_arg_int(c, 0, &parts) < 0 || !paths || parts < 1 || parts > PARTITIONS_MAX)
        return raia_fail(c, "count_words wants the number of partitions and a list of paths");
    struct table t = {0};
    uint64_t bytes = 0;
    int r = 0;
    for (const char *p = paths; r == 0 && p < paths + size; p += strlen(p) + 1)
        if (count_file(p, &t, &bytes) < 0)
            r = raia_fail(c, "cannot read '%s': %s", p, strerror(errno));
    if (r == 0)
        r = return_counts(c, &t, (uint32_t)parts);
    if (r == 0)
        r = raia_return_at(c, (size_t)parts, raia_int((int64_t)bytes));
    table_free(&t);
    return r;
}
RAIA_TASK(count_words)

/* add_counts(counts, ...): the sum of all. */
static int add_counts(raia_call *c)
{
    struct table t = {0};
    int r = 0;
    for (size_t i = 0; r == 0 && i < raia_arg_count(c); i++) {
        size_t size;
        const char *data = raia_arg_bytes(c, i, &size);
        if (!data || decode_into(&t, data, size) < 0)
            r = raia_fail(c, "argument %zu is not a list of counts", i);
    }
    if (r == 0)
        r = return_counts(c, &t, 1);
    table_free(&t);
    return r;
}
RAIA_TASK(add_counts)

/* ---- the driver */

static struct {
    char *paths; /* of the batch under construction, each ended by a zero byte */
    size_t paths_size;
    size_t files; /* in it */
    uint64_t bytes;
    int64_t partitions;
    raia_ref **returns; /* of all batches: partitions + 1 each */
    size_t batches;
    size_t total_files;
    bool failed;
} job;

static int submit_batch(void)
{
    if (!job.files)
        return 0;
    size_t each = (size_t)job.partitions + 1;
    raia_ref **returns = realloc(job.returns, (job.batches + 1) * each * sizeof *returns);
    if (!returns)
        return -1;
    job.returns = returns;
    raia_ref **mine = returns + job.batches * each;
    if (!raia_submit_opt(
            RAIA_OPTIONS(.num_returns = (int)each, .returns = mine, .max_retries = RETRIES),
            count_words, raia_int(job.partitions), raia_bytes(job.paths, job.paths_size)))
        return -1;
    job.batches++;
    job.files = 0;
    job.bytes = 0;
    job.paths_size = 0;
    return 0;
}

static int visit(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
    (void)ftw;
    if (kind != FTW_F || !S_ISREG(st->st_mode))
        return 0;
    size_t length = strlen(path) + 1;
    char *paths = realloc(job.paths, job.paths_size + length);
    if (!paths)
        return -1;
    job.paths = paths;
    memcpy(paths + job.paths_size, path, length);
    job.paths_size += length;
    job.files++;
    job.total_files++;
    job.bytes += (uint64_t)st->st_size;
    if (job.files >= BATCH_FILES || job.bytes >= BATCH_BYTES)
        return submit_batch();
    return 0;
}

/* Waits for all, and says how far it is once a second (or ten times, on a terminal). */
static int wait_all(const char *what, raia_ref **refs, size_t count)
{
    bool terminal = isatty(STDERR_FILENO);
    int ready = 0;
    while (ready < (int)count) {
        ready = raia_wait(refs, count, count, terminal ? 100 : 1000, NULL);
        if (ready < 0)
            return ready;
        fprintf(stderr, terminal ? "\r%s: %d of %zu" : "%s: %d of %zu\n", what, ready, count);
    }
    if (terminal)
        fprintf(stderr, "\n");
    return 0;
}

static const struct table *sorting;

static int by_count(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    if (x->count != y->count)
        return x->count < y->count ? 1 : -1;
    size_t n = x->length < y->length ? x->length : y->length;
    int d = memcmp(sorting->text + x->offset, sorting->text + y->offset, n);
    return d ? d : (int)x->length - (int)y->length;
}

static int by_word(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    size_t n = x->length < y->length ? x->length : y->length;
    int d = memcmp(sorting->text + x->offset, sorting->text + y->offset, n);
    return d ? d : (int)x->length - (int)y->length;
}

/* The used entries move to the front, sorted. */
static void sort(struct table *t, int (*order)(const void *, const void *))
{
    size_t n = 0;
    for (size_t i = 0; i < t->capacity; i++)
        if (t->entries[i].count)
            t->entries[n++] = t->entries[i];
    memset(t->entries + n, 0, (t->capacity - n) * sizeof *t->entries);
    sorting = t;
    qsort(t->entries, n, sizeof *t->entries, order);
}

static int write_counts(struct table *t, const char *path)
{
    FILE *f = fopen(path, "w");
    if (!f) {
        fprintf(stderr, "wordcount: cannot write '%s': %s\n", path, strerror(errno));
        return -1;
    }
    sort(t, by_word);
    for (size_t i = 0; i < t->used; i++)
        fprintf(f, "%llu %.*s\n", (unsigned long long)t->entries[i].count,
                (int)t->entries[i].length, t->text + t->entries[i].offset);
    if (fclose(f)) {
        fprintf(stderr, "wordcount: cannot write '%s': %s\n", path, strerror(errno));
        return -1;
    }
    return 0;
}

/* Shuffles and sums: fills t, and adds up the bytes that were read. */
static int reduce(struct table *t, uint64_t *bytes)
{
    size_t parts = (size_t)job.partitions, each = parts + 1;
    raia_ref **sums = calloc(parts, sizeof *sums);
    struct raia_value *args = calloc(job.batches + 1, sizeof *args);
    int r = sums && args ? 0 : -1;
    for (size_t p = 0; r == 0 && p < parts; p++) {
        for (size_t b = 0; b < job.batches; b++)
            args[b] = raia_value_of(job.returns[b * each + p]);
        sums[p] =
            raia_submit_array(RAIA_OPTIONS(.max_retries = RETRIES), add_counts, args, job.batches);
        r = sums[p] ? 0 : -1;
    }
    for (size_t b = 0; r == 0 && b < job.batches; b++) {
        int64_t n;
        r = raia_get_int(job.returns[b * each + parts], &n, RAIA_FOREVER);
        if (r == 0)
            *bytes += (uint64_t)n;
    }
    if (r == 0)
        r = wait_all("summed partitions", sums, parts);
    for (size_t p = 0; r == 0 && p < parts; p++) {
        struct raia_view v;
        r = raia_get(sums[p], &v, RAIA_FOREVER);
        if (r == 0) {
            r = decode_into(t, v.data, v.size);
            raia_view_release(&v);
        }
    }
    if (sums)
        raia_release_all(sums, parts);
    free(sums);
    free(args);
    return r;
}

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static int run(char **folders, const char *output)
{
    double begin = seconds();
    for (; *folders; folders++) {
        if (nftw(*folders, visit, 32, FTW_PHYS) != 0) {
            fprintf(stderr, "wordcount: folder '%s': ", *folders);
            return raia_last_error()->code ? raia_perror("submit") : (perror(""), 1);
        }
    }
    if (submit_batch() < 0)
        return raia_perror("submit");
    size_t each = (size_t)job.partitions + 1;
    raia_ref **last = calloc(job.batches + 1, sizeof *last);
    if (!last)
        return 1;
    for (size_t b = 0; b < job.batches; b++)
        last[b] = job.returns[b * each + each - 1];
    int r = wait_all("counted batches", last, job.batches);
    free(last);

    struct table t = {0};
    uint64_t bytes = 0;
    if (r < 0 || reduce(&t, &bytes) < 0) {
        table_free(&t);
        return raia_perror("word count");
    }
    int status = output && write_counts(&t, output) < 0;
    sort(&t, by_count);
    for (size_t i = 0; i < t.used && i < TOP; i++)
        printf("%9llu  %.*s\n", (unsigned long long)t.entries[i].count, (int)t.entries[i].length,
               t.text + t.entries[i].offset);
    printf("%zu files, %llu bytes, %zu different words, %zu tasks, %.2f seconds\n", job.total_files,
           (unsigned long long)bytes, t.used, job.batches + (size_t)job.partitions,
           seconds() - begin);
    table_free(&t);
    return status;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"output", required_argument, NULL, 'o'},
                                            {"partitions", required_argument, NULL, 'p'},
                                            {NULL, 0, NULL, 0}};
    static char *defaults[] = {"/usr/share/doc", "/usr/share/common-licenses", NULL};
    const char *output = NULL;
    job.partitions = PARTITIONS;

    for (int o; (o = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        char *end = NULL;
        if (o == 'o')
            output = optarg;
        else if (o == 'p')
            job.partitions = strtol(optarg, &end, 10);
        if (o == '?' || (end && *end) || job.partitions < 1 || job.partitions > PARTITIONS_MAX) {
            fprintf(stderr, "usage: wordcount [--output FILE] [--partitions 1..%d] [FOLDER ...]\n",
                    PARTITIONS_MAX);
            return 2;
        }
    }
    if (raia_init(NULL) < 0)
        return raia_perror("wordcount");
    int status = run(optind < argc ? argv + optind : defaults, output);
    if (job.returns)
        raia_release_all(job.returns, job.batches * ((size_t)job.partitions + 1));
    free(job.returns);
    free(job.paths);
    raia_shutdown();
    return status;
}
