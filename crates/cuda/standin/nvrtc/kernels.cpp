#include "kernels.h"

#include <cctype>

namespace standin {
namespace {

// The text with spaces instead of its comments.
std::string without_comments(const std::string& text) {
    std::string code = text;
    for (size_t i = 0; i < code.size(); i++) {
        if (code[i] == '"') {
            for (i++; i < code.size() && code[i] != '"' && code[i] != '\n'; i++) i += code[i] == '\\';
            continue;
        }
        if (code[i] != '/' || i + 1 >= code.size()) continue;
        size_t end = i;
        if (code[i + 1] == '/') end = code.find('\n', i);
        else if (code[i + 1] == '*') end = code.find("*/", i + 2);
        if (end == i) continue;
        if (end == std::string::npos) end = code.size();
        else if (code[end] == '*') end += 2;
        for (size_t k = i; k < end; k++)
            if (code[k] != '\n') code[k] = ' ';
        i = end - 1;
    }
    return code;
}

struct Reader {
    const std::string& code;
    size_t at;
    void spaces() {
        while (at < code.size() && isspace(static_cast<unsigned char>(code[at]))) at++;
    }
    bool word(const std::string& expected) {
        spaces();
        if (code.compare(at, expected.size(), expected) != 0) return false;
        at += expected.size();
        return true;
    }
    std::string identifier() {
        spaces();
        size_t begin = at;
        while (at < code.size() && (isalnum(static_cast<unsigned char>(code[at])) || code[at] == '_')) at++;
        return code.substr(begin, at - begin);
    }
    // What stands in parentheses, up to its first comma.
    std::string first_argument() {
        if (!word("(")) return "0";
        size_t begin = at, end = std::string::npos;
        for (int depth = 1; at < code.size() && depth > 0; at++) {
            depth += (code[at] == '(') - (code[at] == ')');
            if (end == std::string::npos && (depth == 0 || (depth == 1 && code[at] == ','))) end = at;
        }
        return end == std::string::npos ? "0" : code.substr(begin, end - begin);
    }
};

}  // namespace

std::vector<KernelText> find_kernels(const std::string& text) {
    std::vector<KernelText> found;
    std::string code = without_comments(text);
    for (size_t at = code.find("__global__"); at != std::string::npos; at = code.find("__global__", at + 1)) {
        Reader reader{code, at + 10};
        KernelText kernel{"", "0"};
        bool is_void = false;
        for (std::string word = reader.identifier(); !word.empty(); word = reader.identifier()) {
            if (word == "__launch_bounds__") kernel.max_threads = reader.first_argument();
            else if (word == "void") is_void = true;
            else kernel.name = word;
        }
        if (is_void && !kernel.name.empty() && reader.word("(")) found.push_back(kernel);
    }
    return found;
}

}  // namespace standin
