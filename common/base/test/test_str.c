/* Tests of base/str.h. */
#include <criterion/criterion.h>
#include <locale.h>
#include <math.h>

#include "base/str.h"
#include "raia/error.h"

/* Prefixes and suffixes, the whole text and more than it. */
Test(str, ends)
{
    cr_assert(str_starts_with("abc", "") && str_starts_with("abc", "abc"));
    cr_assert(!str_starts_with("abc", "abcd") && !str_starts_with("abc", "b"));
    cr_assert(str_ends_with("abc", "") && str_ends_with("abc", "bc"));
    cr_assert(!str_ends_with("abc", "xabc") && !str_ends_with("abc", "b"));
}

/* Integers up to their ends, and nothing that is not wholly one. */
Test(str, integers)
{
    uint64_t u = 5;
    int64_t i = 5;
    const char *bad[] = {"", " 1", "1 ", "+1", "0x1", "1.0", "-", "--1", "1e3"};

    for (size_t n = 0; n < sizeof bad / sizeof bad[0]; n++) {
        cr_assert_eq(str_to_u64(bad[n], &u), -RAIA_ERR_INVALID, "%s", bad[n]);
        cr_assert_eq(str_to_i64(bad[n], &i), -RAIA_ERR_INVALID, "%s", bad[n]);
    }
    cr_assert_eq(str_to_u64("-1", &u), -RAIA_ERR_INVALID);
    cr_assert_eq(str_to_u64("18446744073709551616", &u), -RAIA_ERR_LIMIT);
    cr_assert_eq(str_to_i64("9223372036854775808", &i), -RAIA_ERR_LIMIT);
    cr_assert_eq(str_to_i64("-9223372036854775809", &i), -RAIA_ERR_LIMIT);
    cr_assert(u == 5 && i == 5);
    cr_assert_eq(str_to_u64("18446744073709551615", &u), 0);
    cr_assert_eq(u, UINT64_MAX);
    cr_assert_eq(str_to_i64("-9223372036854775808", &i), 0);
    cr_assert_eq(i, INT64_MIN);
}

/* Sizes and durations with every unit, written back as they read best. */
Test(str, units)
{
    struct {
        const char *text;
        uint64_t v;
        const char *back;
    } sizes[] = {{"0", 0, "0"},
                 {"1B", 1, "1"},
                 {"64KiB", 65536, "64KiB"},
                 {"2Gi", UINT64_C(2) << 30, "2GiB"},
                 {"5MB", 5000000, "5000000"},
                 {"3k", 3000, "3000"},
                 {"1024M", 1024000000, "1000000KiB"}},
      times[] = {{"0", 0, "0s"},
                 {"500ms", 500000000, "500ms"},
                 {"2s", 2000000000, "2s"},
                 {"120s", UINT64_C(120000000000), "2m"},
                 {"1d", UINT64_C(86400000000000), "1d"},
                 {"7ns", 7, "7ns"},
                 {"7us", 7000, "7us"}};
    uint64_t u;
    int64_t i;
    char to[STR_NUMBER_MAX];

    for (size_t n = 0; n < 7; n++) {
        cr_assert_eq(str_to_size(sizes[n].text, &u), 0);
        cr_assert_eq(u, sizes[n].v);
        cr_assert_str_eq(str_from_size(u, to), sizes[n].back);
        cr_assert_eq(str_to_duration(times[n].text, &i), 0);
        cr_assert_eq((uint64_t)i, times[n].v);
        cr_assert_str_eq(str_from_duration(i, to), times[n].back);
    }
    cr_assert_eq(str_to_size("1 MiB", &u), -RAIA_ERR_INVALID);
    cr_assert_eq(str_to_size("MiB", &u), -RAIA_ERR_INVALID);
    cr_assert_eq(str_to_size("-1", &u), -RAIA_ERR_INVALID);
    cr_assert_eq(str_to_size("20000PiB", &u), -RAIA_ERR_LIMIT);
    cr_assert_eq(str_to_duration("5", &i), -RAIA_ERR_INVALID);
    cr_assert_eq(str_to_duration("10000000d", &i), -RAIA_ERR_LIMIT);
}

/* Doubles are read strictly and come back exactly. */
Test(str, doubles)
{
    const char *bad[] = {"", " 1", "inf", "nan", "0x10", "1,5", "1.5.2", "e5"};
    double v = 5, values[] = {0, 1, -1.5, 0.1, 1e300, 5e-324, 1.0 / 3, 123456789.125};
    char to[STR_NUMBER_MAX];

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        cr_assert_eq(str_to_double(bad[i], &v), -RAIA_ERR_INVALID, "%s", bad[i]);
    cr_assert_eq(str_to_double("1e999", &v), -RAIA_ERR_LIMIT);
    cr_assert_eq(v, 5);
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        cr_assert_eq(str_to_double(str_from_double(values[i], to), &v), 0, "%s", to);
        cr_assert_eq(v, values[i]);
    }
    cr_assert_str_eq(str_from_double(0.1, to), "0.1");
    cr_assert_str_eq(str_from_double(INFINITY, to), "inf");
}

/* Words for yes and no. */
Test(str, bools)
{
    bool b = false;

    cr_assert(str_to_bool("yes", &b) == 0 && b);
    cr_assert(str_to_bool("off", &b) == 0 && !b);
    cr_assert(str_to_bool("true", &b) == 0 && b);
    cr_assert_eq(str_to_bool("", &b), -RAIA_ERR_INVALID);
    cr_assert_eq(str_to_bool("TRUE", &b), -RAIA_ERR_INVALID);
    cr_assert(b);
}
