/* Whether two answers to nearly the same question say different things. Pure. */
#ifndef CLI_CONTRADICT_H
#define CLI_CONTRADICT_H

/* What differs: "numbers" (dates and times are numbers too) where both have some of the same things (days, euro, 元),
 * and each one that the other lacks; "negation" where one denies and the other does not, in mostly the same words;
 * NULL: neither. */
const char *cli_contradict(const char *a, const char *b);

#endif
