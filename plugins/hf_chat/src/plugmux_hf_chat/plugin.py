class ChatUI:
    pass


plugin = cohere = ChatUI()
