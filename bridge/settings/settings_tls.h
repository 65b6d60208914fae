/* bridge/settings/settings_tls.h - do the files that the TLS settings name hold what they must?
 *
 * Asked at start, so that a wrong one is a wrong setting with a name, and not a connection that
 * fails later, or a program that does not start. */
#ifndef BRIDGE_SETTINGS_SETTINGS_TLS_H
#define BRIDGE_SETTINGS_SETTINGS_TLS_H

/* NULL: fine. Else what is wrong with it, in words that go behind the file's name. */
const char *settings_tls_authorities(const char *ca_file);
const char *settings_tls_certificate(const char *cert_file);
/* Behind a certificate that is fine. */
const char *settings_tls_key(const char *cert_file, const char *key_file);

#endif
