/*
 * The settings of raia-agent: one table, from which come its flags, its help and its documentation.
 */
#ifndef SUPERVISOR_SETTINGS_H
#define SUPERVISOR_SETTINGS_H

#include "base/settings.h"

/* Of struct agent_config (supervisor.h). */
extern const struct settings_table agent_settings;

#endif
