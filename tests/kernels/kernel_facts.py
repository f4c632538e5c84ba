"""What a cell can find out about the kernel that it runs in: a cell, run in two kernels that are to
be the same.

It is code for the kernel's Python, which has nothing of ours.
"""

FACTS = r"""
def facts():
    import asyncio, builtins, faulthandler, gc, inspect, json, locale, logging, multiprocessing
    import os, pickle, resource, signal, sqlite3, subprocess, sys, tempfile, threading
    import time, warnings
    from concurrent.futures import ProcessPoolExecutor

    shell = get_ipython()
    app = shell.parent.parent
    main = sys.modules["__main__"]
    history = shell.history_manager
    loop = asyncio.get_event_loop()
    child = "import os, sys; print(os.getcwd(), sys.path, sorted(os.environ.items()))"

    def inherited(number):
        try:
            target = os.readlink("/proc/self/fd/%s" % number)
            return target.partition(":")[0] if os.get_inheritable(int(number)) else None
        except OSError:  # closed by now
            return None

    facts = {
        "sys.argv": sys.argv,
        "sys.orig_argv": getattr(sys, "orig_argv", None),
        "sys.path": sys.path,
        "sys.flags": str(sys.flags),
        "sys.more": [sys.warnoptions, sys._xoptions, sys.executable, sys.prefix, sys.platlibdir,
                     sys.getrecursionlimit(), sys.getswitchinterval(), sys.dont_write_bytecode,
                     sys.pycache_prefix, sys.getfilesystemencoding(), sys.stdin.name,
                     sys.stdin.encoding],
        "sys.hooks": [repr(type(each)) for each in (sys.stdout, sys.stderr, sys.__stdout__,
                      sys.displayhook, sys.excepthook, threading.excepthook)],
        "importers": [[str(each).partition(" at ")[0] for each in sys.meta_path],
                      [repr(type(each)) for each in sys.path_hooks]],
        "importer cache": sorted(sys.path_importer_cache),
        "modules": sorted(sys.modules),
        "cwd": os.getcwd(),
        "environ": sorted(os.environ.items()),
        "environment of a child": subprocess.run([sys.executable, "-c", child],
                                                 stdout=subprocess.PIPE).stdout.decode(),
        "of a shell": shell.getoutput("pwd; echo $TERM $MPLBACKEND $WANTED"),
        "magics": [shell.run_line_magic("pwd", ""), sorted(shell.magics_manager.magics["line"])],
        "__name__": __name__,
        "__main__": sorted((name, type(value).__name__) for name, value in vars(main).items()
                           if not name.startswith(("_i", "facts", "shown"))),
        "main": [repr(main.__spec__), repr(main.__loader__), main.__doc__, main.__builtins__ is
                 builtins, main.__dict__ is shell.user_ns, main is shell.user_module],
        "hidden": sorted(map(str, shell.user_ns_hidden)),
        "In, Out": [In[1:-1], dict(Out), [type(_dh).__name__, list(map(repr, _dh))]],
        "count": shell.execution_count,
        "startup": startup,
        "from exec_lines": from_exec_lines,
        "config": repr(shell.config),
        "classes": [repr(type(each)) for each in (app, shell, shell.parent, history)],
        "own attributes": sorted(vars(app)),
        "app": sorted((name, repr(getattr(app, name))) for name in app.trait_names(config=True)
                      if name not in ("shell_port", "iopub_port", "stdin_port", "control_port",
                                      "hb_port", "shell", "iopub", "stdin", "control", "hb")),
        "configuration files": app.loaded_config_files,
        "extensions": sorted(shell.extension_manager.loaded),
        "directories": [shell.starting_dir, shell.home_dir, shell.ipython_dir, app.connection_dir,
                        shell.profile_dir.location],
        "history": [history.session_number, history.enabled, type(history.save_thread).__name__],
        "sessions in the history": sqlite3.connect(str(history.hist_file)).execute(
            "SELECT session, end, num_cmds FROM sessions").fetchall(),
        "log": [shell.logger.logfname, shell.logger.log_active, os.listdir(".")],
        "user of messages": shell.parent.session.username,
        "logging": [[logging.getLogger(name).level,
                     [repr(type(each)) for each in logging.getLogger(name).handlers]]
                    for name in ("", "tornado", "traitlets", "asyncio")],
        "loop": [repr(type(loop)), repr(type(asyncio.get_event_loop_policy())), loop.get_debug()],
        "threads": sorted("%s %s" % (type(each).__name__, each.daemon)
                          for each in threading.enumerate()),
        "signals": [repr(signal.getsignal(number)).partition(" at ")[0]
                    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGPIPE, signal.SIGHUP)],
        "signals of the process": [line for line in open("/proc/self/status").read().splitlines()
                                   if line.startswith(("SigBlk", "SigIgn", "SigCgt"))],
        "limits": [resource.getrlimit(getattr(resource, name)) for name in dir(resource)
                   if name.startswith("RLIMIT_")],
        "groups": [os.getpgid(0) == os.getsid(0) == os.getppid(), os.getpgid(0) == os.getpid()],
        "umask": [os.umask(0o022), os.getpriority(os.PRIO_PROCESS, 0),
                  sorted(os.sched_getaffinity(0))],
        "open for children": sorted(filter(None, map(inherited, os.listdir("/proc/self/fd")))),
        "places": [tempfile.gettempdir(), time.tzname, time.timezone, locale.setlocale(
                   locale.LC_ALL), locale.getlocale()],
        "gc": [gc.isenabled(), gc.get_threshold(), gc.get_freeze_count()],
        "warnings": [str(each) for each in warnings.filters],
        "faults": [faulthandler.is_enabled(), str(inspect.signature(faulthandler.enable))
                   .partition("file=")[0]],
        "pickled": repr(pickle.dumps(Kept)),
        "builtins": sorted(vars(builtins)),
    }
    # Last, since its threads and pipes may be there for a moment more.
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn) as pool:
        spawned = pool.submit(eval, (
            "[__import__('os').getcwd(), __import__('sys').argv, __import__('sys').path,"
            " sorted(__import__('os').environ.items())]"
        )).result()
    return {**facts, "spawned": spawned}

import json as shown
print(shown.dumps(facts(), default=repr))
"""
