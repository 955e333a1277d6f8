from verosim.cli import main

main()
