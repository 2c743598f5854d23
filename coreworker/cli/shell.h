/*
 * Command lines for sh -c.
 *
 * Ownership: the text is the caller's (mem_free). Threads: any. Failure: NULL when memory runs out.
 */
#ifndef CLI_SHELL_H
#define CLI_SHELL_H

/* The words as one command line, quoted so that the shell sees the same words again. A single word
 * is taken as a command line already. */
char *shell_line(int n, char *const *words);

#endif
