/* bridge/doctor/doctor.h - pushbridge doctor: look at everything a message needs, from the clock to
 * the user's subscriptions, and say what to change.
 *
 * Prints one line for each check: ok, warn or FAIL, what it is about, what was found, and what to
 * do. No line holds a token, a key or a password. What it logs in it logs out. The token's user
 * shows as online meanwhile, and one room of the user becomes a favourite and is put back, which
 * nobody else sees. Blocking: a program of its own, not for a thread that serves. */
#ifndef BRIDGE_DOCTOR_DOCTOR_H
#define BRIDGE_DOCTOR_DOCTOR_H

struct settings;

enum { DOCTOR_EXIT_OK = 0, DOCTOR_EXIT_WARN = 1, DOCTOR_EXIT_FAIL = 2 };

/* token: a JWT, or what the app puts into enc_auth_token; "-": read from stdin; NULL: none, and
 * what needs one is left out. Returns a DOCTOR_EXIT_ code. */
int doctor_run(const struct settings *settings, const char *token);

#endif
