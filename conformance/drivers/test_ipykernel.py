"""What ipykernel can do, for jupyter_kernel_test."""

import jupyter_kernel_test


class IPykernelTests(jupyter_kernel_test.KernelTests):
    kernel_name = "python3"
    language_name = "python"
    file_extension = ".py"
    code_hello_world = "print('hello, world')"
    code_stderr = "import sys; print('test', file=sys.stderr)"
    completion_samples = ({"text": "zi", "matches": {"zip"}}, {"text": "import uuid; uuid.uu"})
    complete_code_samples = ("1", "print('hello, world')", "def f(x):\n  return x*2\n\n\n")
    incomplete_code_samples = ("print('''hello", "def f(x):\n  x*2", "for i in range(3):")
    invalid_code_samples = ("import = 7q", "1 +* 2)")
    code_page_something = "zip?"
    code_generate_error = "raise ValueError('made')"
    code_execute_result = (
        {"code": "1+2+3", "result": "6"},
        {"code": "[n*n for n in range(1, 4)]", "result": "[1, 4, 9]"},
        {"code": "'ä' * 3", "result": "'äää'"},
        {"code": "6*7", "result": "42"},
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
        {"code": "display({'application/json': {'a': 1}}, raw=True)", "mime": "application/json"},
    )
    code_history_pattern = "1?2*"
    supported_history_operations = ("tail", "search")  # a range of this session says session 0
    code_inspect_sample = "zip"
    code_clear_output = "from IPython.display import clear_output; clear_output()"


class IPykernelWelcomeTests(jupyter_kernel_test.IopubWelcomeTests):
    kernel_name = "python3"
    support_iopub_welcome = True
