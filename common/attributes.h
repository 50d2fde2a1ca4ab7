/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the compiler checks for us (keeper/README.md, "Errors").
 */
#ifndef LONC_COMMON_ATTRIBUTES_H
#define LONC_COMMON_ATTRIBUTES_H

/* Ignoring the result is a mistake: it says whether the function did anything at all. A caller who
 * truly does not care says so, `(void)!function()`, and why. */
#define MUST_CHECK __attribute__((warn_unused_result))

#endif
