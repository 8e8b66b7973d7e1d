// SPDX-FileCopyrightText: 2026 The tslab authors
// SPDX-License-Identifier: Apache-2.0
#include "tslab/report_page.hpp"
#include "tslab/serve_assets.hpp"
#include <array>
#include <random>
#include <stdexcept>
#include <utility>

namespace tslab::tool {

namespace {

constexpr std::string_view digits = "0123456789abcdef";

/// So that no script runs but ours, should anything else ever get into the page.
std::string nonce()
{
    std::random_device random;
    std::string out;
    for (int i = 0; i < 32; ++i)
        out += digits[random() % digits.size()];
    return out;
}

std::string percent_encoded(std::string_view text)
{
    std::string out;
    for (char const c : text) {
        auto const byte = static_cast<unsigned char>(c);
        ((out += '%') += digits[byte >> 4]) += digits[byte & 15];
    }
    return out;
}

std::string_view embedded(std::string_view path)
{
    auto const body = asset(path);
    if (!body)
        throw std::logic_error{"the page is not in this program"};
    return *body;
}

/// Puts `with` where `what` stands in `page`, which is once.
void replace(std::string& page, std::string_view what, std::string const& with)
{
    auto const at = page.find(what);
    if (at == std::string::npos)
        throw std::logic_error{"the page has changed and its report has not"};
    page.replace(at, what.size(), with);
}

}

std::string json_for_html(std::string_view json)
{
    std::string out;
    out.reserve(json.size());
    for (std::size_t i = 0; i < json.size(); ++i) {
        char const c = json[i];
        if (c == '<')
            out += "\\u003c";
        else if (c == '>')
            out += "\\u003e";
        else if (c == '&')
            out += "\\u0026";
        else if (json.substr(i, 3) == "\u2028" || json.substr(i, 3) == "\u2029")
            out += json[(i += 2)] == '\xa8' ? "\\u2028" : "\\u2029";
        else
            out += c;
    }
    return out;
}

std::string report_page(std::string_view data)
{
    std::string page{embedded("index.html")};
    std::string const once = nonce();
    auto const style = [&](std::string_view path) {
        return "<style nonce=\"" + once + "\">" + std::string{embedded(path)} + "</style>";
    };
    auto const script = [&](std::string_view path) {
        return "<script nonce=\"" + once + "\">" + std::string{embedded(path)} + "</script>";
    };
    replace(page, "<meta charset=\"utf-8\">",
            "<meta charset=\"utf-8\">\n<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
            "script-src 'nonce-" +
                once + "'; style-src 'nonce-" + once +
                "'; img-src data:; base-uri 'none'; "
                "form-action 'none'\">");
    replace(page, "href=\"icon.svg\"", "href=\"data:image/svg+xml," + percent_encoded(embedded("icon.svg")) + "\"");
    replace(page, R"(<link rel="stylesheet" href="dygraph.css">)", style("dygraph.css"));
    replace(page, R"(<link rel="stylesheet" href="page.css">)", style("page.css"));
    replace(page, "<a href=\"licenses\">Licences</a>",
            "<details><summary>Licences</summary><pre id=\"licenses\"></pre></details>");
    replace(page, "<script src=\"dygraph.js\"></script>", script("dygraph.js"));
    // Last, so that nothing in the data is taken for a place to put something.
    std::string text;
    for (char const c : embedded("licenses"))
        text += c == '<' ? "&lt;" : c == '&' ? "&amp;" : std::string(1, c);
    replace(page, "<pre id=\"licenses\"></pre>", "<pre id=\"licenses\">" + text + "</pre>");
    replace(page, "<script src=\"page.js\"></script>",
            R"(<script type="application/json" id="recorded">)" + json_for_html(data) + "</script>\n" +
                script("page.js"));
    return page;
}

}
