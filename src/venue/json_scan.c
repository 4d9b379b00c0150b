#include "venue/json_scan.h"

#include "base/assert.h"
#include "base/utf8.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the lowest mark is the first byte");
_Static_assert(TF_SCAN_DEPTH_MAX <= 64, "is_array has one bit a level");

static const uint64_t each_byte = 0x0101010101010101ULL;
static const uint64_t high_bits = 0x8080808080808080ULL;

void tf_scan_init(tf_scan_t *scan, const char *text, size_t bytes)
{
    *scan = (tf_scan_t){.at = text, .end = text + bytes, .start = text, .first = true};
}

static bool refuse(tf_scan_t *scan)
{
    scan->failed = true;
    return false;
}

static bool refuse_at(tf_scan_t *scan, const char *at)
{
    scan->at = at;
    return refuse(scan);
}

static inline void white_skip(tf_scan_t *scan)
{
    while (scan->at < scan->end &&
           (*scan->at == ' ' || *scan->at == '\n' || *scan->at == '\r' || *scan->at == '\t'))
        scan->at++;
}

/* The byte that the next token starts with, not consumed; -1 in a failed scan and at the end of the
 * text, where every caller needs one more. This is what makes errors sticky. */
static inline int look(tf_scan_t *scan)
{
    if (scan->failed)
        return -1;
    if (scan->at<scan->end && * scan->at> ' ') /* venues write compact JSON */
        return *scan->at;
    white_skip(scan);
    if (scan->at < scan->end)
        return (unsigned char)*scan->at;
    scan->failed = true;
    return -1;
}

static inline bool take(tf_scan_t *scan, char byte)
{
    if (look(scan) != byte)
        return refuse(scan);
    scan->at++;
    return true;
}

static inline bool is_digit(char byte)
{
    return byte >= '0' && byte <= '9';
}

/* A scalar ends at `at`. At depth 0 that was the text's one value. */
static inline bool value_done(tf_scan_t *scan, const char *at)
{
    scan->at = at;
    scan->first = false;
    return true;
}

tf_scan_type_t tf_scan_peek(tf_scan_t *scan)
{
    int byte = look(scan);
    switch (byte) {
    case '{':
        return TF_SCAN_OBJECT;
    case '[':
        return TF_SCAN_ARRAY;
    case '"':
        return TF_SCAN_STRING;
    case 't':
        return TF_SCAN_TRUE;
    case 'f':
        return TF_SCAN_FALSE;
    case 'n':
        return TF_SCAN_NULL;
    case '}':
    case ']':
        if (scan->depth == 0)
            (void)refuse(scan);
        return TF_SCAN_NONE;
    default:
        if (byte == '-' || (byte >= '0' && byte <= '9'))
            return TF_SCAN_NUMBER;
        (void)refuse(scan);
        return TF_SCAN_NONE;
    }
}

static bool in_array(const tf_scan_t *scan)
{
    return scan->is_array >> (scan->depth - 1) & 1;
}

static bool enter(tf_scan_t *scan, char open, uint64_t is_array)
{
    if (look(scan) != open || scan->depth == TF_SCAN_DEPTH_MAX)
        return refuse(scan);
    scan->at++;
    scan->is_array &= ~(UINT64_C(1) << scan->depth);
    scan->is_array |= is_array << scan->depth;
    scan->depth++;
    scan->first = true;
    return true;
}

bool tf_scan_object(tf_scan_t *scan)
{
    return enter(scan, '{', 0);
}

bool tf_scan_array(tf_scan_t *scan)
{
    return enter(scan, '[', 1);
}

/*
 * To the next member of the innermost container. False when it ended (and is left) or on an error.
 * A comma must be followed by something that is not the end: a caller that merely peeks would take
 * "[1,]" for a finished array otherwise.
 */
static inline bool step(tf_scan_t *scan, char close)
{
    TF_ASSERT_SLOW(scan->failed || (scan->depth > 0 && in_array(scan) == (close == ']')));
    int byte = look(scan);
    if (byte == close) {
        scan->at++;
        scan->depth--;
        scan->first = false;
        return false;
    }
    if (scan->first) {
        scan->first = false;
        return byte >= 0;
    }
    if (byte != ',')
        return refuse(scan);
    scan->at++;
    return look(scan) != close || refuse(scan);
}

bool tf_scan_key(tf_scan_t *scan, tf_slice_t *key)
{
    if (!step(scan, '}') || !tf_scan_string(scan, key, NULL) || !take(scan, ':'))
        return false;
    return look(scan) != '}' || refuse(scan);
}

bool tf_scan_item(tf_scan_t *scan)
{
    return step(scan, ']');
}

/*
 * Mark (0x80) the quotes, backslashes and control characters of a word. Flipping bit 1 swaps '"'
 * and the space, so that quotes and controls are the bytes below 0x21. A subtraction's borrow can
 * mark too much, but only above a byte that is marked rightly: the lowest mark is always right.
 * Bytes with the high bit set are masked out.
 */
static inline uint64_t stop_marks(uint64_t word)
{
    uint64_t quote_or_control = (word ^ each_byte * 0x02) - each_byte * 0x21;
    uint64_t backslash = (word ^ each_byte * '\\') - each_byte;
    return (quote_or_control | backslash) & ~word & high_bits;
}

/* The first quote, backslash or control character in [at, end), eight bytes at a time; `end` when
 * there is none. *seen collects the bytes passed: a high bit in it means that some may be no ASCII.
 */
static inline const char *plain_run(const char *at, const char *end, uint64_t *seen)
{
    uint64_t word;
    for (; (size_t)(end - at) >= sizeof word; at += sizeof word) {
        memcpy(&word, at, sizeof word);
        *seen |= word;
        uint64_t marks = stop_marks(word);
        if (marks != 0)
            return at + (__builtin_ctzll(marks) >> 3);
    }
    for (; at < end; at++) {
        unsigned char byte = (unsigned char)*at;
        if (byte == '"' || byte == '\\' || byte < 0x20)
            break;
        *seen |= byte;
    }
    return at;
}

static const char *hex4(const char *at, const char *end, uint32_t *out)
{
    if (end - at < 4)
        return NULL;
    uint32_t value = 0;
    for (int i = 0; i < 4; i++, at++) {
        uint32_t digit = (uint32_t)(unsigned char)*at;
        if (is_digit(*at))
            digit -= '0';
        else if ((digit | 0x20) >= 'a' && (digit | 0x20) <= 'f')
            digit = (digit | 0x20) - 'a' + 10;
        else
            return NULL;
        value = value << 4 | digit;
    }
    *out = value;
    return at;
}

/* The escape whose backslash is at `at`: its code point, and the byte after it; NULL when wrong. */
static const char *escape_read(const char *at, const char *end, uint32_t *code)
{
    static const char names[] = "\"\\/bfnrt";
    static const char values[] = "\"\\/\b\f\n\r\t";
    if (end - at < 2)
        return NULL;
    const char *name = memchr(names, at[1], sizeof names - 1);
    if (name != NULL) {
        *code = (unsigned char)values[name - names];
        return at + 2;
    }
    if (at[1] != 'u' || (at = hex4(at + 2, end, code)) == NULL)
        return NULL;
    if (*code < 0xd800 || *code > 0xdfff)
        return at;
    /* RFC 8259 section 7: beyond the BMP as a surrogate pair, the high half first. */
    uint32_t low = 0;
    if (*code > 0xdbff || end - at < 6 || at[0] != '\\' || at[1] != 'u')
        return NULL;
    at = hex4(at + 2, end, &low);
    if (at == NULL || low < 0xdc00 || low > 0xdfff)
        return NULL;
    *code = 0x10000 + ((*code - 0xd800) << 10) + (low - 0xdc00);
    return at;
}

/* A string whose quote was taken and whose first `at - scan->at` bytes are plain: the rest of it,
 * with escapes, characters beyond ASCII and errors. Apart, to keep the usual case short. */
__attribute__((noinline)) static bool string_rest(tf_scan_t *scan, const char *at, uint64_t seen,
                                                  tf_slice_t *out, bool *escaped)
{
    const char *from = scan->at;
    while (at < scan->end && *at == '\\') {
        uint32_t code;
        const char *after = escape_read(at, scan->end, &code);
        if (after == NULL)
            return refuse_at(scan, at);
        *escaped = true;
        at = plain_run(after, scan->end, &seen);
    }
    if (at == scan->end || *at != '"')
        return refuse_at(scan, at);
    *out = (tf_slice_t){from, (size_t)(at - from)};
    if ((seen & high_bits) != 0 && !tf_utf8_valid((const uint8_t *)from, out->bytes))
        return refuse(scan);
    return value_done(scan, at + 1);
}

bool tf_scan_string(tf_scan_t *scan, tf_slice_t *out, bool *escaped)
{
    bool has_escapes = false;
    uint64_t seen = 0;
    if (escaped == NULL)
        escaped = &has_escapes;
    *escaped = false;
    if (!take(scan, '"'))
        return false;
    const char *at = plain_run(scan->at, scan->end, &seen);
    if (at == scan->end || *at != '"' || (seen & high_bits) != 0)
        return string_rest(scan, at, seen, out, escaped);
    *out = (tf_slice_t){scan->at, (size_t)(at - scan->at)};
    return value_done(scan, at + 1);
}

static const char *digits_skip(const char *at, const char *end)
{
    while (at < end && is_digit(*at))
        at++;
    return at;
}

/* [.digits][(e|E)[+|-]digits], the part after a number's integer; NULL when malformed. */
static const char *fraction_skip(const char *at, const char *end)
{
    if (at < end && *at == '.') {
        const char *from = at + 1;
        at = digits_skip(from, end);
        if (at == from)
            return NULL;
    }
    if (at < end && (*at == 'e' || *at == 'E')) {
        at++;
        if (at < end && (*at == '+' || *at == '-'))
            at++;
        const char *from = at;
        at = digits_skip(from, end);
        if (at == from)
            return NULL;
    }
    return at;
}

bool tf_scan_number(tf_scan_t *scan, tf_slice_t *out)
{
    if (look(scan) < 0)
        return false;
    const char *from = scan->at;
    const char *digits = *from == '-' ? from + 1 : from;
    const char *at = digits_skip(digits, scan->end);
    if (at == digits || (*digits == '0' && at - digits > 1))
        return refuse(scan);
    at = fraction_skip(at, scan->end);
    if (at == NULL)
        return refuse(scan);
    *out = (tf_slice_t){from, (size_t)(at - from)};
    return value_done(scan, at);
}

bool tf_scan_uint(tf_scan_t *scan, uint64_t *out)
{
    if (look(scan) < 0)
        return false;
    const char *at = scan->at;
    uint64_t value = 0;
    for (; at < scan->end && is_digit(*at); at++) {
        uint64_t digit = (uint64_t)(*at - '0');
        if (value > (UINT64_MAX - digit) / 10)
            return refuse(scan);
        value = value * 10 + digit;
    }
    if (at == scan->at || (*scan->at == '0' && at - scan->at > 1))
        return refuse(scan);
    if (at < scan->end && (*at == '.' || *at == 'e' || *at == 'E'))
        return refuse(scan);
    *out = value;
    return value_done(scan, at);
}

static bool literal(tf_scan_t *scan, const char *text, size_t bytes)
{
    if (look(scan) < 0)
        return false;
    if ((size_t)(scan->end - scan->at) < bytes || memcmp(scan->at, text, bytes) != 0)
        return refuse(scan);
    return value_done(scan, scan->at + bytes);
}

bool tf_scan_bool(tf_scan_t *scan, bool *out)
{
    bool value = look(scan) == 't';
    if (!(value ? literal(scan, "true", 4) : literal(scan, "false", 5)))
        return false;
    *out = value;
    return true;
}

bool tf_scan_null(tf_scan_t *scan)
{
    return literal(scan, "null", 4);
}

/* Consume a scalar, or enter a container. */
static bool skip_one(tf_scan_t *scan)
{
    tf_slice_t text;
    bool value;
    switch (tf_scan_peek(scan)) {
    case TF_SCAN_OBJECT:
        return tf_scan_object(scan);
    case TF_SCAN_ARRAY:
        return tf_scan_array(scan);
    case TF_SCAN_STRING:
        return tf_scan_string(scan, &text, NULL);
    case TF_SCAN_NUMBER:
        return tf_scan_number(scan, &text);
    case TF_SCAN_TRUE:
    case TF_SCAN_FALSE:
        return tf_scan_bool(scan, &value);
    case TF_SCAN_NULL:
        return tf_scan_null(scan);
    case TF_SCAN_NONE:
        break;
    }
    return refuse(scan);
}

/* No recursion: `depth` and `is_array` are the stack. */
bool tf_scan_skip(tf_scan_t *scan)
{
    uint32_t outside = scan->depth;
    tf_slice_t key;
    do {
        if (!skip_one(scan))
            return false;
        while (scan->depth > outside &&
               !(in_array(scan) ? tf_scan_item(scan) : tf_scan_key(scan, &key))) {
            if (scan->failed)
                return false;
        }
    } while (scan->depth > outside);
    return true;
}

void tf_scan_fail(tf_scan_t *scan)
{
    scan->failed = true;
}

bool tf_scan_end(tf_scan_t *scan)
{
    if (scan->failed || scan->depth > 0 || scan->first)
        return refuse(scan);
    white_skip(scan);
    return scan->at == scan->end || refuse(scan);
}

size_t tf_scan_offset(const tf_scan_t *scan)
{
    return (size_t)(scan->at - scan->start);
}

/* RFC 3629 section 3. */
static size_t utf8_write(char out[4], uint32_t code)
{
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    size_t bytes = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    for (size_t i = bytes - 1; i > 0; i--, code >>= 6)
        out[i] = (char)(0x80 | (code & 0x3f));
    out[0] = (char)((0xf00 >> bytes & 0xff) | code);
    return bytes;
}

int64_t tf_scan_unescape(tf_slice_t raw, char *out, size_t room)
{
    const char *at = raw.text;
    const char *end = at + raw.bytes;
    size_t used = 0;
    while (at < end) {
        char coded[4];
        const char *piece = at;
        const char *escape = memchr(at, '\\', (size_t)(end - at));
        size_t bytes = (size_t)((escape != NULL ? escape : end) - at);
        at += bytes;
        if (bytes == 0) {
            uint32_t code = 0;
            at = escape_read(at, end, &code);
            if (at == NULL)
                return -1;
            bytes = utf8_write(coded, code);
            piece = coded;
        }
        if (bytes > room - used)
            return -1;
        memcpy(out + used, piece, bytes);
        used += bytes;
    }
    return (int64_t)used;
}
