#include "fiber.h"

#include <sys/mman.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>

#ifndef __x86_64__
#error "the switch between stacks is written for x86-64"
#endif

// Present where libasan is loaded before everything else.
extern "C" {
__attribute__((weak)) void __sanitizer_start_switch_fiber(void** fake, const void* bottom, size_t size);
__attribute__((weak)) void __sanitizer_finish_switch_fiber(void* fake, const void** bottom, size_t* size);
__attribute__((weak)) void __asan_unpoison_memory_region(const volatile void* start, size_t size);
void il_switch(void** save, void* to);
}

// System V: what a function must leave as it was goes on the old stack and comes from the new one.
asm(R"(
.globl il_switch
.hidden il_switch
.type il_switch, @function
il_switch:
    push %rbp
    push %rbx
    push %r12
    push %r13
    push %r14
    push %r15
    mov %rsp, (%rdi)
    mov %rsi, %rsp
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %rbx
    pop %rbp
    ret
.size il_switch, . - il_switch
)");

namespace standin {

bool sanitized() { return __sanitizer_start_switch_fiber != nullptr; }

char* Stacks::take() {
    if (free_.empty()) {
        void* memory = mmap(nullptr, guard + size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (memory == MAP_FAILED || mprotect(memory, guard, PROT_NONE) != 0) {
            fputs("stand-in for CUDA: no memory for the stacks of a block\n", stderr);
            abort();
        }
        made_++;
        return static_cast<char*>(memory) + guard;
    }
    char* stack = free_.back();
    free_.pop_back();
    return stack;
}

void prepare(Context& to, char* stack, void (*entry)()) {
    // Stacks lie a power of two apart: without this, their upper ends would share few lines of the cache.
    uintptr_t colour = reinterpret_cast<uintptr_t>(stack) / (Stacks::size + Stacks::guard) % 32 * 192;
    void** top = reinterpret_cast<void**>((reinterpret_cast<uintptr_t>(stack) + Stacks::size - colour) & ~uintptr_t{63});
    *--top = nullptr;  // the end of a backtrace
    *--top = reinterpret_cast<void*>(entry);
    for (int i = 0; i < 6; i++) *--top = nullptr;
    to = {top, nullptr, stack, Stacks::size};
}

void switch_context(Context& from, Context& to, bool ends) {
    if (!sanitized()) return il_switch(&from.stack_pointer, to.stack_pointer);
    __sanitizer_start_switch_fiber(ends ? nullptr : &from.fake_stack, to.bottom, to.size);
    il_switch(&from.stack_pointer, to.stack_pointer);
    __sanitizer_finish_switch_fiber(from.fake_stack, nullptr, nullptr);
}

void arrived(Context* own, Context& from) {
    if (sanitized()) __sanitizer_finish_switch_fiber(own->fake_stack, &from.bottom, &from.size);
}

void forget(char* stack) {
    if (__asan_unpoison_memory_region) __asan_unpoison_memory_region(stack, Stacks::size);
}

}  // namespace standin
