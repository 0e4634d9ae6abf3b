#include "compiler.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>

#include "kernels.h"

extern char** environ;

namespace standin {
namespace {

std::string variable(const char* name) {
    const char* value = getenv(name);
    return value ? value : "";
}

bool read(const std::string& path, std::string& into) {
    std::ifstream file(path, std::ios::binary);
    if (!file) return false;
    into.assign(std::istreambuf_iterator<char>(file), {});
    return !file.bad();
}

// FNV-1a from two beginnings: 128 bits.
std::string hash(const std::string& of) {
    uint64_t a = 0xCBF29CE484222325, b = 0x9AE16A3B2F90404F;
    for (unsigned char c : of) {
        a = (a ^ c) * 0x100000001B3;
        b = (b ^ c) * 0x100000001B3;
        b ^= b >> 29;
    }
    char text[33];
    snprintf(text, sizeof text, "%016llx%016llx", static_cast<unsigned long long>(a), static_cast<unsigned long long>(b));
    return text;
}

// A folder of this program, gone with the object.
struct Scratch {
    std::string path;
    Scratch() {
        std::string folder = variable("TMPDIR");
        path = (folder.empty() ? "/tmp" : folder) + "/ironlearn-nvrtc-XXXXXX";
        if (!mkdtemp(path.data())) path.clear();
    }
    ~Scratch() {
        for (const char* file : {"/kernels.cpp", "/kernels.so", "/log"}) unlink((path + file).c_str());
        rmdir(path.c_str());
    }
};

std::string whole_text(const std::string& name, const std::string& text, const Options& options) {
    std::string kernels, count = "0";
    auto found = find_kernels(text);
    for (auto& kernel : found) kernels += "IL_SIM_KERNEL(" + kernel.name + ", " + kernel.max_threads + "),\n";
    std::string list = found.empty() ? "constexpr const il_sim::Kernel* il_sim_kernels = nullptr;\n"
                                     : "constexpr il_sim::Kernel il_sim_kernels[] = {\n" + kernels + "};\n";
    return "#include \"" + home() + "/sim/sim.h\"\n" + options.macros + "namespace {\n#line 1 \"" + name + "\"\n" + text +
           "\n#line 1 \"kernels of " + name + "\"\n" + list + "}\n" +
           "extern \"C\" __attribute__((visibility(\"default\"))) il_sim::Module il_sim_module = {il_sim_kernels, " +
           std::to_string(found.size()) + ", " + (options.flush ? "true" : "false") +
           ", &il_sim::state};\n";
}

std::vector<std::string> command(const std::string& folder, const Options& options) {
    std::vector<std::string> words = {
        "g++", "-x", "c++", "-std=gnu++17", "-O1", "-fPIC", "-shared", "-w", "-fwrapv", "-ffp-contract=off",
        "-fno-strict-aliasing", "-fno-exceptions", "-fno-rtti", "-fno-math-errno", "-fvisibility=hidden",
        "-fdiagnostics-color=never", "-fmax-errors=20"};
    if (sanitizes())
        words.insert(words.end(), {"-fsanitize=address", "-g1", "-fno-omit-frame-pointer"});
    else
        words.insert(words.end(), {"-fno-asynchronous-unwind-tables", "-nostartfiles", "-nodefaultlibs",
                                   // A GPU reads several bytes at multiples of their number only.
                                   "-fsanitize=alignment", "-fsanitize-undefined-trap-on-error"});
    words.insert(words.end(), options.for_compiler.begin(), options.for_compiler.end());
    words.insert(words.end(), {folder + "/kernels.cpp", "-o", folder + "/kernels.so", "-lm", "-lgcc", "-lc"});
    return words;
}

// Runs g++ with its words in a file. False where it fails or is not there.
bool run(std::vector<std::string> words, const std::string& log) {
    std::vector<char*> arguments;
    for (auto& word : words) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    // g++ itself is not to be watched by AddressSanitizer.
    std::vector<char*> environment;
    for (char** e = environ; *e; e++)
        if (std::string(*e).compare(0, 11, "LD_PRELOAD=") != 0) environment.push_back(*e);
    environment.push_back(nullptr);
    posix_spawn_file_actions_t files;
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_addopen(&files, 2, log.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    posix_spawn_file_actions_addopen(&files, 1, "/dev/null", O_WRONLY, 0);
    pid_t child;
    bool started = posix_spawnp(&child, "g++", &files, nullptr, arguments.data(), environment.data()) == 0;
    posix_spawn_file_actions_destroy(&files);
    int status = 1;
    while (started && waitpid(child, &status, 0) < 0 && errno == EINTR) {}
    return started && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

std::string key(const std::string& whole, const Options& options) {
    // Of what is included by the text, nobody knows the content here.
    if (whole.find("#include", whole.find('\n')) != std::string::npos || options.includes()) return "";
    std::string all = whole, header;
    for (const char* name : {"abi", "sim", "numbers", "vectors", "warp", "matrix", "later"}) {
        if (!read(home() + "/sim/" + name + ".h", header)) return "";
        all += header;
    }
    for (auto& word : command("", options)) all += word + '\0';
    return hash(all);
}

void keep(const std::string& library, const std::string& path) {
    std::string partial = path + "." + std::to_string(getpid()) + "." + std::to_string(reinterpret_cast<uintptr_t>(&library));
    std::ofstream file(partial, std::ios::binary);
    file.write(library.data(), static_cast<std::streamsize>(library.size()));
    file.close();
    if (!file || rename(partial.c_str(), path.c_str()) != 0) unlink(partial.c_str());
}

}  // namespace

const std::string& home() {
    static const std::string folder = [] {
        Dl_info info;
        if (!dladdr(reinterpret_cast<void*>(&home), &info)) return std::string(".");
        char* path = realpath(info.dli_fname, nullptr);
        std::string name = path ? path : info.dli_fname;
        free(path);
        return name.substr(0, name.rfind('/'));
    }();
    return folder;
}

bool sanitizes() { return variable("IRONLEARN_SIM_SANITIZE") == "address"; }

bool compile(const std::string& name, const std::string& text, const Options& options, std::string& library,
             std::string& log) {
    std::string whole = whole_text(name, text, options), folder = variable("IRONLEARN_SIM_CACHE");
    if (folder.empty()) folder = home() + "/kernels";
    mkdir(folder.c_str(), 0700);
    std::string of_text = key(whole, options), kept = folder + "/" + of_text;
    if (!of_text.empty() && read(kept, library)) return true;
    Scratch scratch;
    if (scratch.path.empty()) return log = "no folder for temporary files\n", false;
    std::ofstream(scratch.path + "/kernels.cpp") << whole;
    bool good = run(command(scratch.path, options), scratch.path + "/log");
    read(scratch.path + "/log", log);
    if (!good && log.empty()) log = "g++ does not run\n";
    if (!good || !read(scratch.path + "/kernels.so", library)) return false;
    if (!of_text.empty()) keep(library, kept);
    return true;
}

}  // namespace standin
