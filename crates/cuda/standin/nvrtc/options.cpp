#include "options.h"

namespace standin {
namespace {

// What NVRTC understands and a CPU need not: with two names each where it has them.
constexpr const char* understood[] = {
    "--relocatable-device-code", "-rdc", "--extensible-whole-program", "-ewp", "--device-c", "-dc", "--device-w", "-dw",
    "--device-debug", "-G", "--generate-line-info", "-lineinfo", "--dopt", "-dopt", "--ptxas-options", "-Xptxas",
    "--maxrregcount", "-maxrregcount", "--prec-sqrt", "-prec-sqrt", "--prec-div", "-prec-div", "--fmad", "-fmad",
    "--extra-device-vectorization", "-extra-device-vectorization", "--no-source-include", "-no-source-include",
    "--std", "-std", "--builtin-move-forward", "-builtin-move-forward", "--builtin-initializer-list",
    "-builtin-initializer-list", "--disable-warnings", "-w", "--Wreorder", "--restrict", "-restrict",
    "--device-as-default-execution-space", "-default-device", "--device-int128", "-device-int128",
    "--optimization-info", "-opt-info", "--display-error-number", "-err-no", "--no-display-error-number",
    "-no-err-no", "--diag-error", "-diag-error", "--diag-suppress", "-diag-suppress", "--diag-warn", "-diag-warn",
    "--brief-diagnostics", "-brief-diag", "--time", "-time", "--split-compile", "-split-compile", "--minimal",
    "-minimal", "--device-float128", "-device-float128", "--fdevice-syntax-only", "-fdevice-syntax-only",
};

bool begins(const std::string& text, const std::string& with) { return text.compare(0, with.size(), with) == 0; }

bool known(const std::string& name) {
    for (const char* one : understood)
        if (name == one) return true;
    return false;
}

// The line for name, name=value.
std::string define(std::string macro) {
    size_t equals = macro.find('=');
    if (equals == std::string::npos) macro += " 1";
    else macro[equals] = ' ';
    return "#define " + macro + "\n";
}

}  // namespace

Options::Options(int count, const char* const* given) {
    for (int i = 0; i < count && unknown.empty(); i++) {
        std::string option = given[i], name = option.substr(0, option.find('=')), value;
        if (name.size() < option.size()) value = option.substr(name.size() + 1);
        // The value of an option, where it stands as the next one.
        auto next = [&] { return !value.empty() || i + 1 >= count ? value : std::string(given[++i]); };
        if (name == "--gpu-architecture" || name == "-arch") architecture = next();
        else if (name == "--use_fast_math" || name == "-use_fast_math") flush = true;
        else if (name == "--ftz" || name == "-ftz") flush = next() == "true";
        else if (name == "--define-macro") macros += define(next());
        else if (name == "--undefine-macro") macros += "#undef " + next() + "\n";
        else if (name == "--include-path") for_compiler.push_back("-I" + next());
        else if (name == "--pre-include" || name == "-include") for_compiler.insert(for_compiler.end(), {"-include", next()});
        else if (begins(option, "-D")) macros += define(option == "-D" ? next() : option.substr(2));
        else if (begins(option, "-U")) macros += "#undef " + (option == "-U" ? next() : option.substr(2)) + "\n";
        else if (begins(option, "-I")) for_compiler.push_back(option == "-I" ? option + next() : option);
        else if (!known(name)) unknown = option;
        else if ((name == "-Xptxas" || name == "--ptxas-options" || name == "-std" || name == "--std") && value.empty()) next();
    }
}

}  // namespace standin
