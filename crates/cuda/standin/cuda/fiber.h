// Stacks to run the threads of a block on, and the switch between them.
#pragma once
#include <cstddef>
#include <vector>

namespace standin {

// A place where execution can go on: what the switch saves, and the bounds that AddressSanitizer wants to know.
struct Context {
    void* stack_pointer = nullptr;
    void* fake_stack = nullptr;
    const void* bottom = nullptr;
    size_t size = 0;
};

// Stacks with a page below each that cannot be touched. The last one given back is the next one handed out: threads
// that never wait all run on one, which stays in the cache.
class Stacks {
public:
    static constexpr size_t size = 256 << 10, guard = 4096;
    char* take();
    void give_back(char* stack) { free_.push_back(stack); }

private:
    std::vector<char*> free_;
    unsigned made_ = 0;
};

// Makes `to` begin with `entry()`, which must not return, at the upper end of a stack.
void prepare(Context& to, char* stack, void (*entry)());
// Goes on in `to` until something switches back to `from`. `ends`: nothing ever will.
void switch_context(Context& from, Context& to, bool ends = false);
// The first thing that `entry` does; `from` is where it was switched to from.
void arrived(Context* own, Context& from);
// Leaves stacks that nothing goes on with as new ones.
void forget(char* stack);
// Whether AddressSanitizer runs in this process.
bool sanitized();

}  // namespace standin
