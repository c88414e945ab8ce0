from gan_edit_engine.cli.app import main

main()
