/* Whether two answers to nearly the same question say different things. Pure. */
#ifndef CLI_CONTRADICT_H
#define CLI_CONTRADICT_H

/* What differs: "numbers" (dates and times are numbers too) where both have some and neither has all of the other's,
 * "negation" where one denies and the other does not; NULL: neither. */
const char *cli_contradict(const char *a, const char *b);

#endif
