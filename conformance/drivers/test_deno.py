"""What Deno can do, for jupyter_kernel_test."""

import jupyter_kernel_test

DISPLAY = "await Deno.jupyter.display({{'{mime}': '{data}'}}, {{raw: true}});"


class DenoTests(jupyter_kernel_test.KernelTests):
    kernel_name = "deno"
    language_name = "typescript"
    file_extension = ".ts"
    code_hello_world = "console.log('hello, world')"
    code_stderr = "console.error('test')"
    completion_samples = ({"text": "cons"}, {"text": "Deno.jup"})
    complete_code_samples = ("1", "const a = 1", "function f(x: number) {\n  return x * 2\n}")
    incomplete_code_samples = ("function f(", "const a = {")
    code_generate_error = "throw new Error('made')"
    code_execute_result = (
        {"code": "6*7"},
        {"code": "[1, 2, 3].map((n) => n * n)"},
        {"code": "'ä'.repeat(3)"},
    )
    code_display_data = (
        {"code": DISPLAY.format(mime="text/html", data="<b>test</b>"), "mime": "text/html"},
        {"code": DISPLAY.format(mime="text/markdown", data="*test*"), "mime": "text/markdown"},
    )
    # It keeps no history, finds nothing to inspect, and calls all code valid.


class DenoWelcomeTests(jupyter_kernel_test.IopubWelcomeTests):
    kernel_name = "deno"  # does not welcome: the suite skips it
