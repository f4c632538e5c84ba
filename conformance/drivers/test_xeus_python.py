"""What xeus-python can do, for jupyter_kernel_test."""

import jupyter_kernel_test


class XeusPythonTests(jupyter_kernel_test.KernelTests):
    kernel_name = "xpython"
    language_name = "python"
    file_extension = ".py"
    code_hello_world = "print('hello, world')"
    code_stderr = "import sys; print('test', file=sys.stderr)"
    completion_samples = ({"text": "zi"}, {"text": "pri"})
    complete_code_samples = ("1", "print('hello, world')", "def f(x):\n  return x*2\n\n\n")
    incomplete_code_samples = ("print('''hello", "def f(x):\n  x*2")
    invalid_code_samples = ("import = 7q",)
    code_page_something = "zip?"
    code_generate_error = "raise ValueError('made')"
    code_execute_result = (
        {"code": "6*7", "result": "42"},
        {"code": "[n*n for n in range(1, 4)]", "result": "[1, 4, 9]"},
    )
    code_display_data = (
        {
            "code": "from IPython.display import HTML, display; display(HTML('<b>test</b>'))",
            "mime": "text/html",
        },
        {
            "code": "from IPython.display import Math, display; display(Math('\\\\frac{1}{2}'))",
            "mime": "text/latex",
        },
    )
    supported_history_operations = ("tail",)  # the rest starts one late, and repeats itself
    code_inspect_sample = "print"
    code_clear_output = "from IPython.display import clear_output; clear_output()"


class XeusPythonWelcomeTests(jupyter_kernel_test.IopubWelcomeTests):
    kernel_name = "xpython"
    support_iopub_welcome = True
