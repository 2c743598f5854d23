/*
 * Ray's C++ side of `make bench`: the cases of its microbenchmark that its C++ API can express,
 * timed as Ray's timeit does. Prints a line of JSON for each case.
 *
 * usage: ray_cpp LIBRARY SECONDS ROUNDS CASE...
 * LIBRARY is this source once more as a shared library: what Ray's workers load.
 */
#include <ray/api.h>

#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <set>
#include <string>
#include <vector>

static int small_value()
{
    return 1;
}
RAY_REMOTE(small_value);

class Actor
{
  public:
    static Actor *create()
    {
        return new Actor();
    }
    int small_value()
    {
        return 1;
    }
};
RAY_REMOTE(Actor::create, &Actor::small_value);

static double now()
{
    using namespace std::chrono;
    return duration<double>(steady_clock::now().time_since_epoch()).count();
}

static double seconds;
static int rounds;
static std::set<std::string> cases;

static void timeit(const char *name, const std::function<void()> &fn, double multiplier = 1)
{
    if (!cases.count(name))
        return;
    double start = now();
    long warm = 0;
    for (; now() - start < seconds / 2; warm++)
        fn();
    long step = warm / 10 + 1;
    std::vector<double> rates;
    for (int i = 0; i < rounds; i++) {
        long count = 0;
        start = now();
        for (; now() - start < seconds; count += step)
            for (long k = 0; k < step; k++)
                fn();
        rates.push_back(multiplier * count / (now() - start));
    }
    double mean = 0, squares = 0;
    for (double r : rates)
        mean += r / rates.size();
    for (double r : rates)
        squares += (r - mean) * (r - mean) / rates.size();
    std::printf("{\"case\": \"%s\", \"per_second\": %.6g, \"sd\": %.6g}\n", name, mean,
                std::sqrt(squares));
    std::fflush(stdout);
}

template <typename R> static void get_all(std::vector<ray::ObjectRef<R>> &refs)
{
    ray::Get(refs);
}

int main(int argc, char **argv)
{
    if (argc < 4) {
        std::fprintf(stderr, "usage: ray_cpp LIBRARY SECONDS ROUNDS CASE...\n");
        return 2;
    }
    seconds = std::atof(argv[2]);
    rounds = std::atoi(argv[3]);
    cases.insert(argv + 4, argv + argc);
    ray::RayConfig config;
    config.code_search_path = {argv[1]};
    ray::Init(config);

    auto value = ray::Put(0);
    timeit("single client get calls (Plasma Store)", [&] { ray::Get(value); });
    timeit("single client put calls (Plasma Store)", [] { ray::Put(0); });
    std::vector<char> large(100000000, 'r');
    timeit("single client put 100 MB", [&] { ray::Put(large); }, 0.1);
    timeit("single client tasks sync", [] { ray::Get(ray::Task(small_value).Remote()); });
    timeit(
        "single client tasks async",
        [] {
            std::vector<ray::ObjectRef<int>> refs;
            for (int i = 0; i < 1000; i++)
                refs.push_back(ray::Task(small_value).Remote());
            get_all(refs);
        },
        1000);
    auto actor = ray::Actor(Actor::create).Remote();
    timeit("1:1 actor calls sync", [&] { ray::Get(actor.Task(&Actor::small_value).Remote()); });
    timeit(
        "1:1 actor calls async",
        [&] {
            std::vector<ray::ObjectRef<int>> refs;
            for (int i = 0; i < 1000; i++)
                refs.push_back(actor.Task(&Actor::small_value).Remote());
            get_all(refs);
        },
        1000);
    ray::Shutdown();
    return 0;
}
