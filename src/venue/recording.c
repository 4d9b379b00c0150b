#include "venue/recording.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "venue/adapter.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LINE_BYTES_MAX = 16 << 20 };

/* ---- times -------------------------------------------------------------------------------- */

/* Decimal seconds -> ns, exactly. Digits beyond the ninth say nothing about a clock and are cut. */
static bool seconds_to_ns(tf_slice_t number, int64_t *out_ns)
{
    int64_t seconds = 0;
    size_t i = 0;
    for (; i < number.bytes && number.text[i] >= '0' && number.text[i] <= '9'; i++) {
        seconds = seconds * 10 + (number.text[i] - '0');
        if (seconds >= INT64_MAX / TF_NS_PER_S) {
            return false;
        }
    }
    int64_t fraction = 0;
    if (i > 0 && i < number.bytes && number.text[i] == '.') {
        int64_t unit = TF_NS_PER_S / 10;
        for (i++; i < number.bytes && number.text[i] >= '0' && number.text[i] <= '9'; i++) {
            fraction += (number.text[i] - '0') * unit;
            unit /= 10;
        }
    }
    if (i == 0 || i != number.bytes) { /* empty, negative, or with an exponent */
        return false;
    }
    *out_ns = seconds * TF_NS_PER_S + fraction;
    return true;
}

/* An integer number of `unit_ns` in text. */
static bool integer_to_ns(tf_slice_t number, int64_t unit_ns, int64_t *out_ns)
{
    int64_t value = 0;
    if (number.bytes == 0 || number.bytes > 18) {
        return false;
    }
    for (size_t i = 0; i < number.bytes; i++) {
        if (number.text[i] < '0' || number.text[i] > '9') {
            return false;
        }
        value = value * 10 + (number.text[i] - '0');
    }
    if (value > INT64_MAX / unit_ns) {
        return false;
    }
    *out_ns = value * unit_ns;
    return true;
}

/* Where venues put a frame's event time. unit_ns 0: an RFC 3339 string. */
static const struct time_key {
    const char *key;
    int64_t unit_ns;
} time_keys[] = {
    {"time", 0},                     /* Coinbase Exchange */
    {"timestamp", 0},                /* Kraken v2, in data[0] */
    {"E", TF_NS_PER_MS},             /* Binance, at top level or in data */
    {"ts", TF_NS_PER_MS},            /* Bybit; OKX, in data[0] */
    {"microtimestamp", TF_NS_PER_US} /* Bitstamp, in data */
};

static const struct time_key *time_key_find(tf_slice_t key)
{
    for (size_t i = 0; i < sizeof time_keys / sizeof time_keys[0]; i++) {
        if (tf_slice_is_bytes(key, time_keys[i].key, strlen(time_keys[i].key))) {
            return &time_keys[i];
        }
    }
    return NULL;
}

/* The value of a time key: consumed whatever it is, a time only when it is one. */
static bool time_value(tf_scan_t *scan, int64_t unit_ns, int64_t *out_ns)
{
    tf_slice_t value;
    const tf_scan_type_t type = tf_scan_peek(scan);
    if (type == TF_SCAN_STRING) {
        if (!tf_scan_string(scan, &value, NULL)) {
            return false;
        }
        return unit_ns == 0 ? tf_time_parse_rfc3339(value, out_ns) && *out_ns != TF_TIME_NONE
                            : integer_to_ns(value, unit_ns, out_ns);
    }
    if (type == TF_SCAN_NUMBER && unit_ns != 0) {
        return tf_scan_number(scan, &value) && integer_to_ns(value, unit_ns, out_ns);
    }
    (void)tf_scan_skip(scan);
    return false;
}

/*
 * The first well-known time of an object: among its own members, or, where `inner` is allowed, one
 * container down in "data" (an object, or the first item of an array).
 */
static bool object_time(tf_scan_t *scan, bool inner, int64_t *out_ns)
{
    tf_slice_t key;
    if (!tf_scan_object(scan)) {
        return false;
    }
    while (tf_scan_key(scan, &key)) {
        const struct time_key *time_key = time_key_find(key);
        if (time_key != NULL) {
            if (time_value(scan, time_key->unit_ns, out_ns)) {
                return true;
            }
            continue;
        }
        if (inner && tf_slice_is(key, "data")) {
            tf_scan_t data = *scan;
            if (tf_scan_peek(&data) == TF_SCAN_ARRAY &&
                (!tf_scan_array(&data) || !tf_scan_item(&data))) {
                (void)tf_scan_skip(scan);
                continue;
            }
            if (tf_scan_peek(&data) == TF_SCAN_OBJECT && object_time(&data, false, out_ns)) {
                return true;
            }
        }
        (void)tf_scan_skip(scan);
    }
    return false;
}

/* The event time of a raw frame; false when it has none (or one before 1970). A frame that is not
 * JSON has none either: it is still a frame, for the adapter to refuse and count. */
static bool frame_time(tf_slice_t frame, int64_t *out_ns)
{
    tf_scan_t scan;
    tf_scan_init(&scan, frame.text, frame.bytes);
    return tf_scan_peek(&scan) == TF_SCAN_OBJECT && object_time(&scan, true, out_ns);
}

/* ---- lines and records -------------------------------------------------------------------- */

static void line_bad(tf_recording_t *recording, const char *reason)
{
    if (!recording->telling) {
        return;
    }
    if (recording->bad_lines++ == 0) {
        tf_log(TF_LOG_WARN, "replay_line_skipped", "path=%s line=%llu reason=%s",
               TF_LOG_TEXT(recording->path), (unsigned long long)recording->line,
               TF_LOG_TEXT(reason));
    }
}

/* The next line that is not blank, without its line end. False at the end of the file. */
static bool line_next(tf_recording_t *recording, tf_slice_t *out)
{
    while (recording->at < recording->map_bytes) {
        const char *start = recording->map + recording->at;
        const size_t left = recording->map_bytes - recording->at;
        const char *newline = memchr(start, '\n', left);
        size_t bytes = newline != NULL ? (size_t)(newline - start) : left;
        recording->at += newline != NULL ? bytes + 1 : bytes;
        recording->line++;
        while (bytes > 0 && (start[bytes - 1] == '\r' || start[bytes - 1] == ' ')) {
            bytes--;
        }
        if (bytes > 0) {
            *out = (tf_slice_t){start, bytes};
            return true;
        }
    }
    return false;
}

static tf_record_type_t capture_type(tf_slice_t t)
{
    if (tf_slice_is(t, "recv")) {
        return TF_RECORD_FRAME;
    }
    if (tf_slice_is(t, "http")) {
        return TF_RECORD_HTTP;
    }
    if (tf_slice_is(t, "connect")) {
        return TF_RECORD_CONNECT;
    }
    return tf_slice_is(t, "header") || tf_slice_is(t, "send") ? TF_RECORD_NONE : TF_RECORD_BAD;
}

/* One line of a capture; type TF_RECORD_BAD when it is malformed or lacks what its type needs. */
static void capture_record(tf_slice_t line, tf_record_t *out)
{
    tf_scan_t scan;
    tf_slice_t key;
    tf_slice_t value;
    bool escaped = false;
    *out = (tf_record_t){.type = TF_RECORD_BAD, .time_ns = TF_TIME_NONE, .connection = {"", 0}};
    tf_record_type_t type = TF_RECORD_BAD;
    tf_scan_init(&scan, line.text, line.bytes);
    (void)tf_scan_object(&scan);
    while (tf_scan_key(&scan, &key)) {
        const bool string = tf_scan_peek(&scan) == TF_SCAN_STRING;
        if (tf_slice_is(key, "t") && string) {
            type = tf_scan_string(&scan, &value, NULL) ? capture_type(value) : TF_RECORD_BAD;
        } else if (tf_slice_is(key, "ts")) {
            if (!tf_scan_number(&scan, &value) || !seconds_to_ns(value, &out->time_ns)) {
                tf_scan_fail(&scan);
            }
        } else if (tf_slice_is(key, "conn") && string) {
            (void)tf_scan_string(&scan, &out->connection, NULL);
        } else if (tf_slice_is(key, "url") && string) {
            (void)tf_scan_string(&scan, &out->url, &escaped);
            out->escaped |= escaped;
        } else if (tf_slice_is(key, "data") && string) {
            (void)tf_scan_string(&scan, &out->text, &escaped);
            out->escaped |= escaped;
        } else {
            (void)tf_scan_skip(&scan);
        }
    }
    const bool timed = type == TF_RECORD_NONE || out->time_ns != TF_TIME_NONE;
    const bool texted =
        (type != TF_RECORD_FRAME && type != TF_RECORD_HTTP) || out->text.text != NULL;
    const bool named = type != TF_RECORD_HTTP || out->url.text != NULL;
    if (tf_scan_end(&scan) && timed && texted && named) {
        out->type = type;
    }
}

static void tell_bad_lines(tf_recording_t *recording)
{
    if (recording->telling && recording->bad_lines > 0) {
        tf_log(TF_LOG_WARN, "replay_lines_skipped", "path=%s total=%llu",
               TF_LOG_TEXT(recording->path), (unsigned long long)recording->bad_lines);
    }
    recording->telling = false;
}

bool tf_recording_next(tf_recording_t *recording, tf_record_t *out)
{
    tf_slice_t line;
    while (line_next(recording, &line)) {
        if (line.bytes > LINE_BYTES_MAX) {
            line_bad(recording, "longer than 16 MiB");
            continue;
        }
        if (recording->format == TF_RECORDING_RAW) {
            *out = (tf_record_t){.type = TF_RECORD_FRAME, .time_ns = TF_TIME_NONE, .text = line};
            (void)frame_time(line, &out->time_ns);
            return true;
        }
        capture_record(line, out);
        if (out->type == TF_RECORD_BAD) {
            line_bad(recording, "not a record of capture format 2");
        } else if (out->type != TF_RECORD_NONE) {
            return true;
        }
    }
    tell_bad_lines(recording);
    return false;
}

void tf_recording_rewind(tf_recording_t *recording)
{
    recording->at = 0;
    recording->line = 0;
}

/* ---- escapes ------------------------------------------------------------------------------ */

static bool text_reserve(tf_recording_t *recording, size_t bytes)
{
    if (bytes <= recording->text_room) {
        return true;
    }
    size_t room = recording->text_room < 4096 ? 4096 : recording->text_room;
    while (room < bytes) {
        room *= 2;
    }
    char *text = tf_mem_realloc(recording->text, room, 1);
    if (text == NULL) {
        return false;
    }
    recording->text = text;
    recording->text_room = room;
    return true;
}

bool tf_recording_unescape(tf_recording_t *recording, tf_record_t *record)
{
    if (!record->escaped) {
        return true;
    }
    if (!text_reserve(recording, record->text.bytes + record->url.bytes)) {
        line_bad(recording, "out of memory");
        return false;
    }
    const int64_t text_bytes =
        tf_scan_unescape(record->text, recording->text, recording->text_room);
    if (text_bytes < 0) {
        line_bad(recording, "bad escape in data");
        return false;
    }
    char *url = recording->text + text_bytes;
    const int64_t url_bytes =
        record->url.bytes == 0
            ? 0
            : tf_scan_unescape(record->url, url, recording->text_room - (size_t)text_bytes);
    if (url_bytes < 0) {
        line_bad(recording, "bad escape in url");
        return false;
    }
    record->text = (tf_slice_t){recording->text, (size_t)text_bytes};
    record->url = (tf_slice_t){url, (size_t)url_bytes};
    return true;
}

/* ---- opening ------------------------------------------------------------------------------ */

static tf_status_t map_file(tf_recording_t *recording)
{
    const char *path = recording->path;
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        const tf_status_t status = errno == ENOENT ? TF_ERR_ABSENT : TF_ERR_SYS;
        return tf_error(status, "recording %s: %s", path,
                        strerror(errno)); // NOLINT(concurrency-mt-unsafe): start-up
    }
    struct stat info;
    tf_status_t status = TF_OK;
    if (fstat(fd, &info) != 0) {
        status = tf_error(TF_ERR_SYS, "recording %s: %s", path,
                          strerror(errno)); // NOLINT(concurrency-mt-unsafe): start-up
    } else if (!S_ISREG(info.st_mode)) {
        status = tf_error(TF_ERR_FORMAT, "recording %s: not a regular file", path);
    } else if (info.st_size == 0) {
        status = tf_error(TF_ERR_FORMAT, "recording %s: the file is empty", path);
    } else {
        void *map = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (map == MAP_FAILED) {
            status = tf_error(TF_ERR_SYS, "map recording %s: %s", path,
                              strerror(errno)); // NOLINT(concurrency-mt-unsafe): start-up
        } else {
            recording->map = map;
            recording->map_bytes = (size_t)info.st_size;
            (void)madvise(map, recording->map_bytes, MADV_SEQUENTIAL);
        }
    }
    (void)close(fd);
    return status;
}

/* Tell the formats apart by the first line. */
static tf_status_t detect_format(tf_recording_t *recording)
{
    tf_slice_t line;
    if (!line_next(recording, &line)) {
        return tf_error(TF_ERR_FORMAT, "recording %s: blank lines only", recording->path);
    }
    tf_scan_t scan;
    tf_slice_t key;
    tf_slice_t value;
    bool header = false;
    uint64_t format = 0;
    tf_scan_init(&scan, line.text, line.bytes);
    if (line.bytes > LINE_BYTES_MAX || !tf_scan_object(&scan)) {
        return tf_error(TF_ERR_FORMAT, "recording %s line %llu: neither a JSON frame nor a header",
                        recording->path, (unsigned long long)recording->line);
    }
    while (tf_scan_key(&scan, &key)) {
        if (tf_slice_is(key, "t") && tf_scan_peek(&scan) == TF_SCAN_STRING) {
            header = tf_scan_string(&scan, &value, NULL) && tf_slice_is(value, "header");
        } else if (tf_slice_is(key, "format") && tf_scan_peek(&scan) == TF_SCAN_NUMBER) {
            (void)tf_scan_uint(&scan, &format);
        } else {
            (void)tf_scan_skip(&scan);
        }
    }
    if (!tf_scan_end(&scan)) {
        return tf_error(TF_ERR_FORMAT, "recording %s line %llu: not JSON at byte %zu",
                        recording->path, (unsigned long long)recording->line,
                        tf_scan_offset(&scan));
    }
    if (header && format != 2) {
        return tf_error(
            TF_ERR_FORMAT, "recording %s line %llu: capture format %llu, only 2 is known",
            recording->path, (unsigned long long)recording->line, (unsigned long long)format);
    }
    recording->format = header ? TF_RECORDING_CAPTURE : TF_RECORDING_RAW;
    return TF_OK;
}

/* The virtual clock of a replay starts there. Lines are read twice because of it, so bad ones are
 * not told here. */
static tf_status_t find_first_time(tf_recording_t *recording)
{
    tf_record_t record = {.time_ns = TF_TIME_NONE};
    recording->telling = false;
    tf_recording_rewind(recording);
    while (record.time_ns == TF_TIME_NONE && tf_recording_next(recording, &record)) {
    }
    if (record.time_ns == TF_TIME_NONE) {
        return tf_error(TF_ERR_FORMAT, "recording %s line %llu: the end, and no record with a time",
                        recording->path, (unsigned long long)recording->line);
    }
    recording->first_ns = record.time_ns;
    recording->telling = true;
    tf_recording_rewind(recording);
    return TF_OK;
}

tf_status_t tf_recording_open(tf_recording_t *recording, const char *path)
{
    const size_t path_bytes = strlen(path) + 1;
    tf_status_t status = TF_OK;
    *recording = (tf_recording_t){.path = tf_mem_calloc(path_bytes, 1)};
    if (recording->path == NULL) {
        return tf_error(TF_ERR_MEMORY, "recording %s: out of memory", path);
    }
    memcpy(recording->path, path, path_bytes);
    if ((status = map_file(recording)) != TF_OK || (status = detect_format(recording)) != TF_OK ||
        (status = find_first_time(recording)) != TF_OK) {
        tf_recording_close(recording);
    }
    return status;
}

void tf_recording_close(tf_recording_t *recording)
{
    if (recording->map != NULL) {
        (void)munmap(recording->map, recording->map_bytes);
    }
    tf_mem_free(recording->text);
    tf_mem_free(recording->path);
    *recording = (tf_recording_t){.map = NULL};
}
