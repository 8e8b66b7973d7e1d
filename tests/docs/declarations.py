#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The tslab authors
# SPDX-License-Identifier: Apache-2.0
"""The reader of declarations, and the rules for docstrings, on texts whose answers are known."""
import pathlib
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from docstrings import declarations_in, undocumented   # noqa: E402


class Docstrings(unittest.TestCase):
    def missing(self, text, name="x.hpp", elsewhere=frozenset()):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / name
            path.write_text(text, encoding="utf-8")
            return [problem.split(": ")[1].split()[0] for problem in undocumented(declarations_in(path), None, name, elsewhere)[0]]

    def test_members_and_what_is_private(self):
        self.assertEqual(self.missing("""
            export namespace tslab {
            /// A type.
            class [[nodiscard]] heap final : public base {
                int private_;
            public:
                explicit heap(int n = 0, char const* text = "};") noexcept : base(n), private_{n}, array_<int>{1, 2} {}

                /// Documented.
                template <class T = int> auto get(T t = {}) const { return T{t}; }

                int after = 1;   ///< documented behind
                int beside = 2;

                int bare{};
                friend bool operator==(heap const&, heap const&) = default;
                heap& operator=(heap const&) = delete;

                bool operator<(heap const&) const;
                void override_it() override;
            private:
                void hidden();
            };
            }"""), ["heap::heap", "heap::bare", "heap::operator<"])

    def test_a_docstring_stands_for_what_follows_without_an_empty_line(self):
        self.assertEqual(self.missing("""
            /// Both.
            int a();
            int b();

            int c();
            """), ["c"])

    def test_overloads(self):
        self.assertEqual(self.missing("""
            /// For each.
            void visit(int);

            void visit(long);

            void other(int);
            """), ["other"])

    def test_members_of_a_type_of_which_none_has_one(self):
        self.assertEqual(self.missing("""
            /// Colours.
            enum class colour { red, green = 1 << 2 };
            /// Sizes.
            enum class size {
                small,   ///< not large
                smaller,

                large
            };

            struct bare { int n; };

            struct later;
            """), ["size::large", "bare"])

    def test_a_header_for_c(self):
        self.assertEqual(self.missing("""
            /* The head of the file. */
            #ifndef X_H
            #define X_H
            #define LIMIT 3

            /* A limit. */
            #define OTHER 4

            extern "C" {
            typedef struct point {
                int x; /* across */

                int y;
            } point;

            /* Says where. */
            API point where(void);
            }
            #endif""", name="x.h"), ["LIMIT", "point", "point::y"])

    def test_names_that_have_their_docstring_elsewhere(self):
        text = "/// Of the header.\nclass heap {\npublic:\n    /// This.\n    void a();\n\n    void b();\n\n    void c();\n};"
        self.assertEqual(self.missing(text, elsewhere={"heap::b"}), ["heap::c"])


if __name__ == "__main__":
    unittest.main()
