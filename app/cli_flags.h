// Flags that several verbs share, and the verbs that have a file of their own.
#pragma once
#include "app/options.h"

namespace CLI {
class App;
}

namespace querent::app {

void common_flags(CLI::App* verb, Options& o);
void data_flags(CLI::App* verb, Options& o, bool required = true);
void task_flags(CLI::App* verb, Options& o);
void split_flags(CLI::App* verb, Options& o);
void model_flags(CLI::App* verb, Options& o);
void learning_flags(CLI::App* verb, Options& o);  // strategies, rounds, scoring
void memory_flags(CLI::App* verb, Options& o);
void resume_flags(CLI::App* verb, Options& o);
void cost_flags(CLI::App* verb, Options& o);
void out_flag(CLI::App* verb, Options& o, const char* help, const char* fallback);  // nullptr: there is no default

void add_advise_verb(CLI::App& app, Options& o);
void add_synth_verbs(CLI::App& app, Options& o);
void add_experiment_verbs(CLI::App& app, Options& o);  // repetitions of published experiments

}  // namespace querent::app
