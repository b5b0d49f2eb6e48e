// The part of the CUDA samples' header of this name that their programs use most: options and timers.
#pragma once
#include <stdlib.h>
#include <string.h>

#include <chrono>

struct StopWatchInterface {
    std::chrono::steady_clock::time_point begin;
    float milliseconds = 0;
};
inline bool sdkCreateTimer(StopWatchInterface** timer) { return *timer = new StopWatchInterface, true; }
inline bool sdkDeleteTimer(StopWatchInterface** timer) { return delete *timer, *timer = nullptr, true; }
inline bool sdkStartTimer(StopWatchInterface** timer) { return (*timer)->begin = std::chrono::steady_clock::now(), true; }
inline bool sdkStopTimer(StopWatchInterface** timer) {
    const std::chrono::duration<float, std::milli> passed = std::chrono::steady_clock::now() - (*timer)->begin;
    return (*timer)->milliseconds += passed.count(), true;
}
inline bool sdkResetTimer(StopWatchInterface** timer) { return (*timer)->milliseconds = 0, sdkStartTimer(timer); }
inline float sdkGetTimerValue(StopWatchInterface** timer) { return (*timer)->milliseconds; }

// The text behind -name= or --name=; nullptr if the option is not there.
inline const char* mmb_option_text(int count, const char** words, const char* name) {
    for (int i = 1; i < count; i++) {
        const char* word = words[i];
        while (*word == '-') word++;
        const size_t length = strlen(name);
        if (!strncmp(word, name, length) && (!word[length] || word[length] == '=')) return word + length + (word[length] == '=');
    }
    return nullptr;
}
inline bool checkCmdLineFlag(int count, const char** words, const char* name) { return mmb_option_text(count, words, name) != nullptr; }
inline int getCmdLineArgumentInt(int count, const char** words, const char* name) {
    const char* text = mmb_option_text(count, words, name);
    return text ? atoi(text) : 0;
}
inline float getCmdLineArgumentFloat(int count, const char** words, const char* name) {
    const char* text = mmb_option_text(count, words, name);
    return text ? static_cast<float>(atof(text)) : 0.0f;
}
