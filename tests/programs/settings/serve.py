"""A stand-in for programs with pydantic-settings' variables, nested by two underscores, and with an INI file."""

import configparser
import os

ini = configparser.ConfigParser()
ini.read("service.ini")
model = {name.lower().split("__")[1]: text for name, text in os.environ.items() if name.startswith("APP_MODEL__")}
print(f"model {model} workers {ini.getint('server', 'workers')}")
print(f'[1] "rmse = {1 - float(model["rate"]) + ini.getfloat("server", "delay"):.4f}"')
