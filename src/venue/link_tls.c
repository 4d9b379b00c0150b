#include "venue/link_tls.h"

#include "base/mem.h"

#include <stdbool.h>
#include <stdio.h>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

enum { HOST_BYTES_MAX = 256, TEXT_BYTES_MAX = 256 };

/* Hangs on the SSL_CTX; freed with it. */
typedef struct hook {
    tf_link_tls_sink_t sink;
    char host[HOST_BYTES_MAX];
    const char *reason; /* OpenSSL's text, static; of the last handshake, if it failed */
} hook_t;

/* ---- the certificate ---- */

static bool unknown_issuer(int error)
{
    return error == X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT ||
           error == X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY ||
           error == X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE ||
           error == X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT ||
           error == X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN;
}

static void refused_tell(const hook_t *hook, int error)
{
    char out[TEXT_BYTES_MAX];
    const char *text = X509_verify_cert_error_string(error);
    if (unknown_issuer(error))
        (void)snprintf(out, sizeof out,
                       "certificate refused: unknown issuer (%s); are the system's authorities "
                       "installed, or is ca=FILE needed?",
                       text);
    else if (error == X509_V_ERR_CERT_HAS_EXPIRED)
        (void)snprintf(out, sizeof out,
                       "certificate refused: it has expired (or this clock is wrong)");
    else if (error == X509_V_ERR_CERT_NOT_YET_VALID)
        (void)snprintf(out, sizeof out,
                       "certificate refused: it is not valid yet (or this clock is wrong)");
    else if (error == X509_V_ERR_HOSTNAME_MISMATCH || error == X509_V_ERR_IP_ADDRESS_MISMATCH)
        (void)snprintf(out, sizeof out, "certificate refused: it is not for %.100s (%s)",
                       hook->host, text);
    else
        (void)snprintf(out, sizeof out, "certificate refused: %s", text);
    hook->sink.on_refused(hook->sink.context, out);
}

static int verdict_keep(int verdict, X509_STORE_CTX *check)
{
    (void)check;
    return verdict;
}

/* In place of OpenSSL's own call of X509_verify_cert(). libwebsockets has set a callback by now
 * that may overrule a verdict: it is taken off. */
static int certificate_check(X509_STORE_CTX *check, void *context)
{
    const hook_t *hook = context;
    X509_VERIFY_PARAM *wanted = X509_STORE_CTX_get0_param(check);
    X509_STORE_CTX_set_verify_cb(check, verdict_keep);
    X509_VERIFY_PARAM_set_hostflags(wanted, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    int result = 0;
    if (X509_VERIFY_PARAM_set1_ip_asc(wanted, hook->host) == 1 ||
        X509_VERIFY_PARAM_set1_host(wanted, hook->host, 0) == 1)
        result = X509_verify_cert(check);
    if (result != 1)
        refused_tell(hook, X509_STORE_CTX_get_error(check));
    return result == 1;
}

/* ---- the handshake ---- */

static void on_info(const SSL *ssl, int where, int value)
{
    hook_t *hook = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
    if ((where & SSL_CB_HANDSHAKE_START) != 0) {
        hook->reason = NULL;
        hook->sink.on_start(hook->sink.context);
    } else if ((where & SSL_CB_EXIT) != 0 && value <= 0 && ERR_peek_error() != 0) {
        hook->reason = ERR_reason_error_string(ERR_peek_error());
    }
}

const char *tf_link_tls_reason(const struct ssl_ctx_st *tls)
{
    const hook_t *hook = SSL_CTX_get_app_data(tls);
    return hook->reason;
}

static tf_status_t authorities_load(SSL_CTX *tls, const char *ca_path)
{
    ERR_clear_error();
    if (ca_path == NULL)
        return SSL_CTX_set_default_verify_paths(tls) == 1
                   ? TF_OK
                   : tf_error(TF_ERR_SYS, "the system's certificate authorities do not load");
    if (SSL_CTX_load_verify_locations(tls, ca_path, NULL) == 1)
        return TF_OK;
    const char *reason = ERR_reason_error_string(ERR_peek_error());
    ERR_clear_error();
    return tf_error(TF_ERR_FORMAT, "ca %s: no PEM file of certificate authorities (%s)", ca_path,
                    reason != NULL ? reason : "not readable");
}

tf_status_t tf_link_tls_create(struct ssl_ctx_st **out, const char *host, const char *ca_path,
                               const tf_link_tls_sink_t *sink)
{
    *out = NULL;
    hook_t *hook = tf_mem_calloc(1, sizeof *hook);
    SSL_CTX *tls = SSL_CTX_new(TLS_client_method());
    if (tls == NULL || hook == NULL) {
        SSL_CTX_free(tls);
        tf_mem_free(hook);
        return tf_error(TF_ERR_MEMORY, "no memory for TLS");
    }
    hook->sink = *sink;
    (void)snprintf(hook->host, sizeof hook->host, "%s", host);
    SSL_CTX_set_app_data(tls, hook);
    SSL_CTX_set_info_callback(tls, on_info);
    SSL_CTX_set_verify(tls, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_cert_verify_callback(tls, certificate_check, hook);
    (void)SSL_CTX_set_options(tls, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                       SSL_OP_IGNORE_UNEXPECTED_EOF);
    (void)SSL_CTX_set_mode(tls,
                           SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    tf_status_t status = TF_OK;
    if (SSL_CTX_set_min_proto_version(tls, TLS1_2_VERSION) != 1)
        status = tf_error(TF_ERR_UNSUPPORTED, "this OpenSSL has no TLS 1.2");
    if (status == TF_OK)
        status = authorities_load(tls, ca_path);
    if (status != TF_OK) {
        tf_link_tls_destroy(tls);
        return status;
    }
    *out = tls;
    return TF_OK;
}

void tf_link_tls_destroy(struct ssl_ctx_st *tls)
{
    if (tls == NULL)
        return;
    /* A connection that was cut can outlive its link inside libwebsockets for a moment. */
    SSL_CTX_set_info_callback(tls, NULL);
    tf_mem_free(SSL_CTX_get_app_data(tls));
    SSL_CTX_set_app_data(tls, NULL);
    SSL_CTX_free(tls);
}
